#include <system_error>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file_or_model_folder) {
  std::filesystem::path file = file_or_model_folder;
  const std::string shown = printable(file.string());
  std::error_code failure;
  if (std::filesystem::is_directory(file, failure)) {
    file /= "tokenizer.json";
    if (!std::filesystem::exists(file, failure)) file.replace_filename("vocab.txt");
    if (!std::filesystem::exists(file, failure))
      throw Error("{}: found neither of the tokenizer files, expected tokenizer.json or vocab.txt",
                  shown);
  } else if (!std::filesystem::exists(file, failure)) {
    throw Error(
        "{}: no such file or folder, expected a tokenizer.json, a vocab.txt or a folder "
        "with one of them",
        shown);
  }
  if (file.extension() == ".json") return load_tokenizer_json(file);
  if (file.extension() == ".txt") return load_vocabulary_text(file);
  throw Error("{}: is not the name of a tokenizer file, expected one that ends in .json or .txt",
              shown);
}

}  // namespace rankfold
