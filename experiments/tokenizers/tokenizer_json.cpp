#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/json_field.h"
#include "core/json_reader.h"
#include "core/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/wordpiece.h"

namespace rankfold {
namespace {

constexpr std::int64_t largest_id = std::numeric_limits<std::int32_t>::max() - 1;

std::int32_t read_id(const JsonField& field) {
  return static_cast<std::int32_t>(field.integer(0, largest_id));
}

bool boolean_or(const JsonField& object, const std::string& name, bool otherwise) {
  const auto field = object.optional_member(name);
  return field ? field->boolean() : otherwise;
}

Vocabulary read_vocabulary(const JsonField& field, const std::filesystem::path& file) {
  const nlohmann::json& object = field.object();
  if (object.empty()) field.refuse("no tokens", "at least one");
  Vocabulary vocabulary;
  for (const auto& [token, id] : object.items()) {
    const bool is_id = id.is_number_integer() && id >= 0 && id <= largest_id;
    vocabulary.ids.push_back(is_id ? id.get<std::int32_t>()
                                   : read_id(JsonField(id, file, "model.vocab." + token)));
    vocabulary.tokens.insert(token, vocabulary.ids.back());
  }
  std::sort(vocabulary.ids.begin(), vocabulary.ids.end());
  const auto repeated = std::adjacent_find(vocabulary.ids.begin(), vocabulary.ids.end());
  if (repeated != vocabulary.ids.end())
    field.refuse(fmt::format("id {} twice", *repeated), "one token for each id");
  return vocabulary;
}

/// Without a normalizer nothing is changed, which is what all options off mean.
BertNormalizerOptions read_normalizer(const std::optional<JsonField>& field) {
  if (!field) return {false, false, false, false};
  field->member("type").expect_one_of({"BertNormalizer"});
  BertNormalizerOptions options;
  options.clean_text = boolean_or(*field, "clean_text", true);
  options.handle_chinese_chars = boolean_or(*field, "handle_chinese_chars", true);
  options.lowercase = boolean_or(*field, "lowercase", true);
  options.strip_accents = boolean_or(*field, "strip_accents", options.lowercase);
  return options;
}

std::unique_ptr<const TokenModel> read_wordpiece(const JsonField& root,
                                                 const std::filesystem::path& file) {
  const JsonField model = root.member("model");
  model.member("type").expect_one_of({"WordPiece"});
  WordPieceOptions options;
  options.normalizer = read_normalizer(root.optional_member("normalizer"));
  root.member("pre_tokenizer").member("type").expect_one_of({"BertPreTokenizer"});

  const JsonField unknown = model.member("unk_token");
  options.unknown_token = unknown.string();
  options.continuing_prefix = model.member("continuing_subword_prefix").string();
  options.max_characters_per_word =
      static_cast<std::size_t>(model.member("max_input_chars_per_word").integer(1, largest_id));
  Vocabulary vocabulary = read_vocabulary(model.member("vocab"), file);
  if (!vocabulary.tokens.find(options.unknown_token))
    unknown.refuse(fmt::format("'{}'", options.unknown_token), "a token of model.vocab");
  return std::make_unique<WordPiece>(std::move(vocabulary), options);
}

std::vector<AddedToken> read_added_tokens(const JsonField& root) {
  std::vector<AddedToken> tokens;
  const auto list = root.optional_member("added_tokens");
  const std::size_t count = list ? list->array_size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const JsonField entry = list->element(i);
    AddedToken token;
    token.content = entry.member("content").string();
    token.id = read_id(entry.member("id"));
    token.single_word = boolean_or(entry, "single_word", false);
    token.lstrip = boolean_or(entry, "lstrip", false);
    token.rstrip = boolean_or(entry, "rstrip", false);
    token.normalized = boolean_or(entry, "normalized", !boolean_or(entry, "special", false));
    for (const AddedToken& other : tokens)
      if ((other.content == token.content) != (other.id == token.id))
        entry.refuse(fmt::format("'{}' with id {} beside '{}' with id {}", token.content, token.id,
                                 other.content, other.id),
                     "one id for each added token");
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// The ids that a special token of a template stands for.
std::vector<std::int32_t> read_special_token(const JsonField& special_tokens,
                                             const std::string& name) {
  const JsonField ids = special_tokens.member(name).member("ids");
  std::vector<std::int32_t> values(ids.array_size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = read_id(ids.element(i));
  return values;
}

SequenceTemplate read_template(const JsonField& processor, const std::string& name) {
  const JsonField list = processor.member(name);
  SequenceTemplate sequence;
  for (std::size_t i = 0, count = list.array_size(); i < count; ++i) {
    const JsonField entry = list.element(i);
    if (const auto text = entry.optional_member("Sequence")) {
      const JsonField which = text->member("id");
      which.expect_one_of({"A", "B"});
      const bool is_first = which.string() == "A";
      sequence.push_back(
          {is_first ? TemplatePart::Kind::first_text : TemplatePart::Kind::second_text, 0,
           read_id(text->member("type_id"))});
      continue;
    }
    const auto special = entry.optional_member("SpecialToken");
    if (!special) entry.refuse("neither of them", "'Sequence' or 'SpecialToken'");
    const std::int32_t type_id = read_id(special->member("type_id"));
    const std::string& token = special->member("id").string();
    for (const std::int32_t id : read_special_token(processor.member("special_tokens"), token))
      sequence.push_back({TemplatePart::Kind::token, id, type_id});
  }
  return sequence;
}

/// The id of ["[SEP]", 102].
std::int32_t read_token_and_id(const JsonField& field) {
  if (field.array_size() != 2)
    field.refuse(fmt::format("{} elements", field.array_size()), "a token and its id");
  field.element(0).string();
  return read_id(field.element(1));
}

SequenceTemplates read_templates(const std::optional<JsonField>& processor) {
  if (!processor) return plain_templates();
  const JsonField type = processor->member("type");
  type.expect_one_of({"TemplateProcessing", "BertProcessing"});
  if (type.string() == "BertProcessing")
    return bert_templates(read_token_and_id(processor->member("cls")),
                          read_token_and_id(processor->member("sep")));
  return {read_template(*processor, "single"), read_template(*processor, "pair")};
}

/// Special tokens get embedded too: an id that no token has would be read beyond the embedding.
void check_ids(const SequenceTemplates& templates, const Tokenizer& tokenizer,
               const std::filesystem::path& file) {
  for (const SequenceTemplate* sequence : {&templates.single, &templates.pair})
    for (const TemplatePart& part : *sequence)
      if (part.kind == TemplatePart::Kind::token &&
          static_cast<std::size_t>(part.token) >= tokenizer.vocabulary_size())
        throw Error(
            "{}: key 'post_processor': found the special token id {}, expected an id below "
            "{}, the size of the vocabulary",
            printable(file.string()), part.token, tokenizer.vocabulary_size());
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& file) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  const JsonField root(document, file);
  auto model = read_wordpiece(root, file);
  std::vector<AddedToken> added_tokens = read_added_tokens(root);
  const SequenceTemplates templates = read_templates(root.optional_member("post_processor"));
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = std::make_unique<Tokenizer>(std::move(model), std::move(added_tokens), templates);
  } catch (const Error& error) {
    throw Error("{}: {}", printable(file.string()), error.what());
  }
  check_ids(templates, *tokenizer, file);
  return tokenizer;
}

}  // namespace rankfold
