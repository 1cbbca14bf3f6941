#include <algorithm>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/json_field.h"
#include "core/json_reader.h"
#include "core/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/unicode.h"
#include "experiments/tokenizers/wordpiece.h"

namespace rankfold {
namespace {

struct SpecialTokenNames {
  std::string unknown = "[UNK]";
  std::string separator = "[SEP]";
  std::string padding = "[PAD]";
  std::string classification = "[CLS]";
  std::string mask = "[MASK]";
};

/// A token's name, written as a string or as {"content": name, ...}.
void read_name(const JsonField& config, const std::string& key, std::string& name) {
  if (const auto field = config.optional_member(key))
    name = field->is_string() ? field->string() : field->member("content").string();
}

void read_config(const std::filesystem::path& file, BertNormalizerOptions& options,
                 SpecialTokenNames& names) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  const JsonField config(document, file);
  if (const auto name = config.optional_member("tokenizer_class"))
    name->expect_one_of({"BertTokenizer", "BertTokenizerFast", "DistilBertTokenizer",
                         "DistilBertTokenizerFast", "ElectraTokenizer", "ElectraTokenizerFast",
                         "MobileBertTokenizer", "MobileBertTokenizerFast"});
  if (const auto basic = config.optional_member("do_basic_tokenize"); basic && !basic->boolean())
    basic->refuse("false", "true");
  if (const auto lower = config.optional_member("do_lower_case"))
    options.lowercase = lower->boolean();
  const auto accents = config.optional_member("strip_accents");
  options.strip_accents = accents ? accents->boolean() : options.lowercase;
  if (const auto chinese = config.optional_member("tokenize_chinese_chars"))
    options.handle_chinese_chars = chinese->boolean();
  read_name(config, "unk_token", names.unknown);
  read_name(config, "sep_token", names.separator);
  read_name(config, "pad_token", names.padding);
  read_name(config, "cls_token", names.classification);
  read_name(config, "mask_token", names.mask);
}

/// One token a line; an empty line uses up its number.
Vocabulary read_vocabulary(const std::filesystem::path& file) {
  const std::string text = read_text(file);
  const std::string shown = printable(file.string());
  Vocabulary vocabulary;
  std::int32_t number = 0;
  for (std::size_t begin = 0; begin < text.size(); ++number) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view token(text.data() + begin, end - begin);
    begin = end + 1;
    if (token.ends_with('\r')) token.remove_suffix(1);
    if (token.empty()) continue;
    if (!is_valid_utf8(token))
      throw Error("{}: line {}: found bytes that are not UTF-8, expected a token", shown,
                  number + 1);
    if (!vocabulary.tokens.insert(token, number))
      throw Error("{}: line {}: found '{}' again, which is on line {}, expected each token once",
                  shown, number + 1, printable(token, 200), *vocabulary.tokens.find(token) + 1);
    vocabulary.ids.push_back(number);
  }
  if (vocabulary.ids.empty()) throw Error("{}: found no tokens, expected one a line", shown);
  return vocabulary;
}

std::int32_t require_token(const Vocabulary& vocabulary, const std::string& token,
                           const std::filesystem::path& file) {
  const auto id = vocabulary.tokens.find(token);
  if (!id)
    throw Error("{}: found no line '{}', expected this special token", printable(file.string()),
                printable(token, 200));
  return *id;
}

}  // namespace

std::unique_ptr<Tokenizer> load_vocabulary_text(const std::filesystem::path& file) {
  WordPieceOptions options;
  SpecialTokenNames names;
  const std::filesystem::path config = file.parent_path() / "tokenizer_config.json";
  std::error_code failure;
  if (std::filesystem::exists(config, failure)) read_config(config, options.normalizer, names);

  Vocabulary vocabulary = read_vocabulary(file);
  require_token(vocabulary, names.unknown, file);
  const std::int32_t classification = require_token(vocabulary, names.classification, file);
  const std::int32_t separator = require_token(vocabulary, names.separator, file);
  options.unknown_token = names.unknown;
  std::vector<AddedToken> added_tokens;
  for (const std::string& name :
       {names.unknown, names.separator, names.padding, names.classification, names.mask})
    if (const auto id = vocabulary.tokens.find(name)) added_tokens.push_back({name, *id});
  return std::make_unique<Tokenizer>(std::make_unique<WordPiece>(std::move(vocabulary), options),
                                     std::move(added_tokens),
                                     bert_templates(classification, separator));
}

}  // namespace rankfold
