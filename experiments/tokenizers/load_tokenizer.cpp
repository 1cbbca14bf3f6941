#include <array>
#include <system_error>

#include "core/base/error.h"
#include "core/base/memory_error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {
namespace {

/// In the order in which they are looked for.
constexpr std::array<const char*, 7> tokenizer_files = {
    "tokenizer.json",         "vocab.txt",    "vocab.json",
    "tokenizer.model",        "spiece.model", "spm.model",
    "sentencepiece.bpe.model"};

std::unique_ptr<Tokenizer> load_file(const std::filesystem::path& file) {
  if (file.filename() == "vocab.json" || file.extension() == ".model")
    return load_class_files(file);
  if (file.extension() == ".json") return load_tokenizer_json(file);
  if (file.extension() == ".txt") return load_vocabulary_text(file);
  throw Error(
      "{}: is not the name of a tokenizer file, expected one that ends in .json, .txt or .model",
      printable(file.string()));
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& file_or_model_folder) {
  std::filesystem::path file = file_or_model_folder;
  const std::string shown = printable(file.string());
  std::error_code failure;
  if (std::filesystem::is_directory(file, failure)) {
    for (const char* name : tokenizer_files)
      if (std::filesystem::exists(file_or_model_folder / name, failure)) {
        file /= name;
        break;
      }
    if (file == file_or_model_folder)
      throw Error(
          "{}: found no tokenizer, expected tokenizer.json, vocab.txt, vocab.json with merges.txt, "
          "tokenizer.model, spiece.model, spm.model or sentencepiece.bpe.model",
          shown);
  } else if (!std::filesystem::exists(file, failure)) {
    throw Error(
        "{}: no such file or folder, expected a tokenizer.json, a vocab.txt, a vocab.json, a "
        "SentencePiece model or a folder with one of them",
        shown);
  }
  return with_memory_for(printable(file.string()), 0, [&] { return load_file(file); });
}

}  // namespace rankfold
