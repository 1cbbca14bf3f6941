#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

constexpr std::int64_t largest_id = std::numeric_limits<std::int32_t>::max() - 1;

/// A word costs its length squared where no token covers it.
constexpr std::int64_t most_characters_per_word = 1000;

/// Far above the handful of special tokens that real templates have.
constexpr std::size_t longest_template = 256;

std::int32_t read_id(const JsonField& field) {
  return static_cast<std::int32_t>(field.integer(0, largest_id));
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

void expect_keys(const JsonField& object, const std::filesystem::path& file, std::string_view place,
                 std::initializer_list<std::string_view> names) {
  std::vector<ForeignKey> keys;
  for (const std::string_view name : names) keys.push_back({name, ForeignKey::Meaning::read});
  expect_known_keys(object.object(), file, place, {keys});
}

/// Without a normalizer nothing is changed, which is what all options off mean.
WrittenTokenizer::Normalizer read_normalizer(const std::optional<JsonField>& field,
                                             const std::filesystem::path& file) {
  if (!field) return {false, false, false, false};
  field->member("type").expect_one_of({"BertNormalizer"});
  expect_keys(*field, file, "normalizer",
              {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  WrittenTokenizer::Normalizer normalizer;
  normalizer.clean_text = field->boolean_member("clean_text", true);
  normalizer.handle_chinese_chars = field->boolean_member("handle_chinese_chars", true);
  normalizer.lowercase = field->boolean_member("lowercase", true);
  if (const auto strips = field->optional_member("strip_accents"))
    normalizer.strip_accents = strips->boolean();
  return normalizer;
}

void read_wordpiece(const JsonField& root, WrittenTokenizer& written) {
  const std::filesystem::path& file = written.file;
  const JsonField model = root.member("model");
  model.member("type").expect_one_of({"WordPiece"});
  expect_keys(
      model, file, "model",
      {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  written.normalizer = read_normalizer(root.optional_member("normalizer"), file);
  const JsonField splitter = root.member("pre_tokenizer");
  splitter.member("type").expect_one_of({"BertPreTokenizer"});
  expect_keys(splitter, file, "pre_tokenizer", {"type"});
  written.unknown_token = model.member("unk_token").string();
  written.continuing_prefix = model.member("continuing_subword_prefix").string();
  written.max_characters_per_word = static_cast<std::size_t>(
      model.member("max_input_chars_per_word").integer(1, most_characters_per_word));
  written.vocabulary = read_vocabulary(model.member("vocab"), file);
  if (!written.vocabulary.tokens.find(*written.unknown_token))
    model.member("unk_token")
        .refuse(fmt::format("'{}'", *written.unknown_token), "a token of model.vocab");
}

std::vector<AddedToken> read_added_tokens(const JsonField& root,
                                          const std::filesystem::path& file) {
  std::vector<AddedToken> tokens;
  const auto list = root.optional_member("added_tokens");
  const std::size_t count = list ? list->array_size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const JsonField entry = list->element(i);
    expect_keys(entry, file, "added_tokens",
                {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token;
    token.content = entry.member("content").string();
    token.id = read_id(entry.member("id"));
    token.single_word = entry.boolean_member("single_word", false);
    token.lstrip = entry.boolean_member("lstrip", false);
    token.rstrip = entry.boolean_member("rstrip", false);
    token.normalized = entry.boolean_member("normalized", !entry.boolean_member("special", false));
    tokens.push_back(std::move(token));
  }
  return tokens;
}

/// The ids that a special token of a template stands for.
std::vector<std::int32_t> read_special_token(const JsonField& special_tokens,
                                             const std::string& name) {
  const JsonField ids = special_tokens.member(name).member("ids");
  if (ids.array_size() > longest_template)
    ids.refuse(fmt::format("{} ids", ids.array_size()),
               fmt::format("at most {}", longest_template));
  std::vector<std::int32_t> values(ids.array_size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = read_id(ids.element(i));
  return values;
}

SequenceTemplate read_template(const JsonField& processor, const std::string& name) {
  const JsonField list = processor.member(name);
  SequenceTemplate sequence;
  const auto check_length = [&](std::size_t more) {
    if (sequence.size() + more > longest_template)
      list.refuse("more special tokens", fmt::format("at most {}", longest_template));
  };
  for (std::size_t i = 0, count = list.array_size(); i < count; ++i) {
    const JsonField entry = list.element(i);
    check_length(1);
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
    const std::vector<std::int32_t> ids =
        read_special_token(processor.member("special_tokens"), token);
    check_length(ids.size());
    for (const std::int32_t id : ids) sequence.push_back({TemplatePart::Kind::token, id, type_id});
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

SequenceTemplates read_templates(const std::optional<JsonField>& processor,
                                 const std::filesystem::path& file) {
  if (!processor) return plain_templates();
  const JsonField type = processor->member("type");
  type.expect_one_of({"TemplateProcessing", "BertProcessing"});
  const bool is_bert = type.string() == "BertProcessing";
  expect_keys(*processor, file, "post_processor",
              is_bert ? std::initializer_list<std::string_view>{"type", "cls", "sep"}
                      : std::initializer_list<std::string_view>{"type", "single", "pair",
                                                                "special_tokens"});
  if (is_bert)
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
  expect_keys(root, file, "",
              {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
               "post_processor", "decoder", "model"});
  if (const auto version = root.optional_member("version")) version->expect_one_of({"1.0"});
  WrittenTokenizer written;
  written.file = file;
  read_wordpiece(root, written);
  written.added_tokens = read_added_tokens(root, file);
  written.templates = read_templates(root.optional_member("post_processor"), file);
  if (const auto truncation = root.optional_member("truncation"))
    if (const auto direction = truncation->optional_member("direction")) {
      direction->expect_one_of({"Right", "Left"});
      written.truncates_left = direction->string() == "Left";
    }
  if (const auto padding = root.optional_member("padding"))
    if (const auto token = padding->optional_member("pad_token"))
      written.padding_token = token->string();
  const SequenceTemplates templates = *written.templates;
  auto tokenizer = make_tokenizer(std::move(written), read_tokenizer_config(file.parent_path()));
  check_ids(templates, *tokenizer, file);
  return tokenizer;
}

}  // namespace rankfold
