#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/unicode.h"
#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

/// One token a line; empty lines use up their numbers, the last of them is a token too.
Vocabulary read_vocabulary(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  const std::string shown = printable(file.string());
  Vocabulary vocabulary;
  std::int32_t number = 0, empty = -1;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    // As Rust's trim_end does it, with which huggingface/tokenizers reads the lines.
    std::string_view token(text.data() + begin, end - begin);
    token = token.substr(0, without_trailing_whitespace(token));
    begin = end + 1;
    if (token.empty()) {
      empty = number;
      continue;
    }
    if (!is_valid_utf8(token))
      throw Error("{}: line {}: found bytes that are not UTF-8, expected a token", shown,
                  number + 1);
    if (!vocabulary.insert(token, number))
      throw Error("{}: line {}: found '{}' again, which is on line {}, expected each token once",
                  shown, number + 1, printable(token, 200), *vocabulary.find(token) + 1);
  }
  vocabulary.seal();
  if (vocabulary.size() == 0) throw Error("{}: found no tokens, expected one a line", shown);
  if (empty >= 0) vocabulary.insert("", empty);
  vocabulary.seal();
  return vocabulary;
}

}  // namespace

std::unique_ptr<Tokenizer> load_vocabulary_text(const std::filesystem::path& file) {
  const TokenizerConfig config = read_tokenizer_config(file.parent_path());
  if (config.kind == TokenizerConfig::Kind::as_written)
    throw Error("{}: found a vocabulary without tokenizer.json, which {} of transformers needs",
                printable(file.string()), config.class_name);
  WrittenTokenizer written;
  written.file = file;
  written.vocabulary = read_vocabulary(file);
  return make_tokenizer(std::move(written), config);
}

}  // namespace rankfold
