#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"
#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/models/word_model.h"
#include "experiments/tokenizers/models/word_pieces.h"
#include "experiments/tokenizers/token_part.h"
#include "experiments/tokenizers/token_pipeline.h"
#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

bool has_type(const std::optional<JsonField>& part, std::string_view type) {
  const auto field = part ? part->find("type") : std::nullopt;
  return field && field->string_or_nothing() == std::string(type);
}

/// BERT's own, which is read in one go and follows the class's options.
bool is_bert_form(const JsonField& root) {
  const auto normalizer = root.optional_member("normalizer");
  return has_type(root.member("model"), "WordPiece") &&
         (!normalizer || has_type(normalizer, "BertNormalizer")) &&
         has_type(root.optional_member("pre_tokenizer"), "BertPreTokenizer");
}

/// Without a normalizer nothing is changed, which is what all options off mean.
WrittenTokenizer::Normalizer read_bert_options(const std::optional<JsonField>& field) {
  if (!field) return {false, false, false, false};
  expect_part_keys(*field, {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  WrittenTokenizer::Normalizer normalizer;
  normalizer.clean_text = field->boolean_member("clean_text", true);
  normalizer.handle_chinese_chars = field->boolean_member("handle_chinese_chars", true);
  normalizer.lowercase = field->boolean_member("lowercase", true);
  if (const auto strips = field->optional_member("strip_accents"))
    normalizer.strip_accents = strips->boolean();
  return normalizer;
}

void read_bert_form(const JsonField& root, WrittenTokenizer& written) {
  const JsonField model = root.member("model");
  written.normalizer = read_bert_options(root.optional_member("normalizer"));
  expect_part_keys(root.member("pre_tokenizer"), {});
  WordPiecesOptions options = read_word_pieces_options(model);
  written.unknown_token = options.unknown_token;
  written.continuing_prefix = options.continuing_prefix;
  written.max_characters_per_word = options.max_characters_per_word;
  written.vocabulary = read_vocabulary_object(model.member("vocab"));
  if (!written.vocabulary.find(options.unknown_token))
    model.member("unk_token")
        .refuse(fmt::format("'{}'", options.unknown_token), "a token of model.vocab");
}

/// Whether something puts a space before the text: of the first part that could.
std::optional<bool> find_prefix_space(const std::optional<JsonField>& part) {
  if (!part) return std::nullopt;
  if (has_type(part, "ByteLevel"))
    if (const auto adds = part->find("add_prefix_space")) return adds->boolean_or_nothing();
  if (has_type(part, "Metaspace")) {
    const auto scheme = part->find("prepend_scheme");
    return !scheme || scheme->string_or_nothing() != std::string("never");
  }
  if (has_type(part, "Prepend")) return true;
  for (const char* list : {"pretokenizers", "normalizers"})
    if (const auto parts = part->find(list))
      for (const JsonField& step : parts->elements())
        if (const auto found = find_prefix_space(step)) return found;
  return std::nullopt;
}

void read_pipeline(const JsonField& root, WrittenTokenizer& written) {
  const auto normalizer = root.optional_member("normalizer");
  const auto splitter = root.optional_member("pre_tokenizer");
  written.pipeline = std::make_unique<TokenPipeline>(
      normalizer ? read_normalizer(*normalizer) : nullptr,
      splitter ? read_splitter(*splitter) : nullptr, read_word_model(root.member("model")));
  written.adds_prefix_space = find_prefix_space(splitter);
  if (!written.adds_prefix_space) written.adds_prefix_space = find_prefix_space(normalizer);
}

std::vector<AddedToken> read_added_tokens(const JsonField& root) {
  std::vector<AddedToken> tokens;
  const auto list = root.optional_member("added_tokens");
  const std::size_t count = list ? list->array_size() : 0;
  for (std::size_t i = 0; i < count; ++i) {
    const JsonField entry = list->element(i);
    expect_part_keys(entry.named("added_tokens"),
                     {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    AddedToken token;
    token.content = entry.member("content").string();
    token.id = read_token_id(entry.member("id"));
    token.single_word = entry.boolean_member("single_word", false);
    token.lstrip = entry.boolean_member("lstrip", false);
    token.rstrip = entry.boolean_member("rstrip", false);
    token.special = entry.boolean_member("special", false);
    token.normalized = entry.boolean_member("normalized", !token.special);
    tokens.push_back(std::move(token));
  }
  return tokens;
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
  expect_part_keys(root, {"version", "truncation", "padding", "added_tokens", "normalizer",
                          "pre_tokenizer", "post_processor", "decoder", "model"});
  if (const auto version = root.optional_member("version")) version->expect_one_of({"1.0"});
  WrittenTokenizer written;
  written.file = file;
  if (is_bert_form(root))
    read_bert_form(root, written);
  else
    read_pipeline(root, written);
  written.added_tokens = read_added_tokens(root);
  written.templates = read_templates(root.optional_member("post_processor"));
  if (const auto decoder = root.optional_member("decoder"))
    written.decoder = read_decoder(*decoder);
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
