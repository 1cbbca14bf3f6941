#include "experiments/tokenizers/tokenizer_config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <set>
#include <system_error>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"
#include "experiments/tokenizers/loaders.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Kind = TokenizerConfig::Kind;

constexpr auto read = ForeignKey::Meaning::read;
constexpr auto changes_nothing = ForeignKey::Meaning::changes_nothing;
constexpr auto off_only = ForeignKey::Meaning::off_only;

constexpr std::array<std::string_view, 7> roles = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

const std::vector<ForeignKey>& config_keys() {
  static const std::vector<ForeignKey> keys = [] {
    std::vector<ForeignKey> table;
    const auto add = [&](ForeignKey::Meaning meaning,
                         std::initializer_list<std::string_view> names) {
      for (const std::string_view name : names) table.push_back({name, meaning});
    };
    add(read, {"tokenizer_class", "do_lower_case", "strip_accents", "tokenize_chinese_chars",
               "truncation_side", "model_input_names", "added_tokens_decoder",
               "additional_special_tokens", "extra_special_tokens", "do_basic_tokenize",
               "clean_text", "wordpieces_prefix", "add_bos_token", "add_eos_token",
               "add_prefix_space", "keep_accents", "remove_space", "split_by_punct", "legacy"});
    for (const std::string_view role : roles) table.push_back({role, read});
    // Padding is never computed, texts are cut at the run's length; where files were; what broken
    // bytes become in text; the model's file tells the unknown token.
    add(changes_nothing, {"model_max_length",
                          "max_len",
                          "max_length",
                          "padding_side",
                          "padding",
                          "pad_token_type_id",
                          "pad_to_multiple_of",
                          "stride",
                          "truncation",
                          "truncation_strategy",
                          "name_or_path",
                          "special_tokens_map_file",
                          "tokenizer_file",
                          "full_tokenizer_file",
                          "vocab_file",
                          "clean_up_tokenization_spaces",
                          "spaces_between_special_tokens",
                          "processor_class",
                          "is_local",
                          "local_files_only",
                          "backend",
                          "files_loaded",
                          "use_fast",
                          "verbose",
                          "chat_template",
                          "errors",
                          "from_slow",
                          "trim_offsets",
                          "unk_id",
                          "use_default_system_prompt",
                          "vocab_size",
                          "vocab_type",
                          "transformers_version",
                          "_commit_hash",
                          "device_map",
                          "response_template",
                          "response_schema",
                          "chat_control_tokens"});
    add(off_only, {"never_split", "split_special_tokens", "auto_map", "init_inputs",
                   "model_specific_special_tokens", "sp_model_kwargs"});
    return table;
  }();
  return keys;
}

void take_class(const TokenizerClass& known, TokenizerConfig& config) {
  config.known_class = &known;
  config.kind = known.kind == TokenizerClass::Kind::as_written ? Kind::as_written
                : known.kind == TokenizerClass::Kind::bert     ? Kind::bert
                                                               : Kind::built;
  if (!config.names_inputs) config.single_type = !known.has_types;
}

/// By the class's name; throws at the field that gives it where no such tokenizer is read here.
void set_class(const JsonField& field, TokenizerConfig& config) {
  const std::string& name = field.string();
  const TokenizerClass* known = find_tokenizer_class(name);
  if (known == nullptr)
    field.refuse("'" + name + "'", "one of " + std::string(known_tokenizer_classes()));
  config.class_name = name;
  take_class(*known, config);
}

/// The token of `key`, written as its text or as {"content": text, "lstrip": ..., ...}. `special`
/// where the file does not say it.
AddedToken read_token(const JsonField& field, const std::string& key, bool special,
                      const fs::path& file) {
  AddedToken token;
  token.special = true;
  if (field.is_string()) {
    token.content = field.string();
    return token;
  }
  static const std::vector<ForeignKey> keys = {
      {"content", read},    {"lstrip", read},  {"rstrip", read},           {"single_word", read},
      {"normalized", read}, {"special", read}, {"__type", changes_nothing}};
  expect_known_keys(field.object(), file, key, {keys});
  token.content = field.member("content").string();
  token.single_word = field.boolean_member("single_word", false);
  token.lstrip = field.boolean_member("lstrip", false);
  token.rstrip = field.boolean_member("rstrip", false);
  token.special = field.boolean_member("special", special);
  token.normalized = field.boolean_member("normalized", !token.special);
  return token;
}

bool is_token(const nlohmann::json& value) {
  return value.is_string() || (value.is_object() && value.contains("content"));
}

/// A list of tokens, or an object of tokens by role.
void read_extra_tokens(const JsonField& document, const std::string& key, const fs::path& file,
                       TokenizerConfig& config) {
  const JsonField list = document.member(key);
  if (document.object().at(key).is_object()) {
    for (const auto& [role, value] : list.object().items())
      config.names[role] = read_token(list.member(role), key + "." + role, true, file);
    return;
  }
  for (std::size_t i = 0, count = list.array_size(); i < count; ++i)
    config.extra_tokens.push_back(read_token(list.element(i), key, true, file));
}

/// Special tokens by role, those of other models too ("image_token"). `special` as at read_token.
void read_names(const JsonField& document, bool special, const fs::path& file,
                TokenizerConfig& config) {
  for (const auto& [key, value] : document.object().items()) {
    const bool named = std::ranges::find(roles, key) != roles.end();
    if (named && value.is_null()) config.unnamed.insert(key);
    if (value.is_null() || !(named || (key.ends_with("_token") && is_token(value)))) continue;
    config.names[key] = read_token(document.member(key), key, special, file);
  }
  for (const char* key : {"extra_special_tokens", "additional_special_tokens"}) {
    const auto found = document.object().find(key);
    if (found == document.object().end() || is_off(*found)) continue;
    return read_extra_tokens(document, key, file, config);
  }
}

/// Every key but the names of special tokens, which may be any.
void expect_keys(const nlohmann::json& document, const fs::path& file) {
  nlohmann::json others = document;
  if (others.is_object())
    for (const auto& [key, value] : document.items())
      if (key.ends_with("_token") && is_token(value)) others.erase(key);
  expect_known_keys(others, file, "", {config_keys()});
}

std::int32_t read_index(const std::string& text, const JsonField& field) {
  std::int32_t index = -1;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), index);
  if (failure != std::errc() || end != text.data() + text.size() || index < 0)
    field.refuse("the key '" + text + "'", "ids as keys");
  return index;
}

void read_decoder(const JsonField& decoder, const fs::path& file, TokenizerConfig& config) {
  config.lists_all_added_tokens = true;
  for (const auto& [index, value] : decoder.object().items()) {
    const JsonField field = decoder.member(index);
    if (!value.is_object()) field.refuse(value.type_name(), "an object");
    AddedToken token = read_token(field, "added_tokens_decoder." + index, false, file);
    token.id = read_index(index, decoder);
    config.added_tokens.push_back(std::move(token));
  }
}

void read_config(const fs::path& file, TokenizerConfig& config) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  const JsonField root(document, file);
  expect_keys(document, file);
  if (const auto name = root.optional_member("tokenizer_class")) set_class(*name, config);
  for (const auto& [key, flag] : {std::pair{"do_lower_case", &config.lowercase},
                                  {"strip_accents", &config.strip_accents},
                                  {"tokenize_chinese_chars", &config.handle_chinese_chars},
                                  {"add_prefix_space", &config.adds_prefix_space},
                                  {"keep_accents", &config.keeps_accents},
                                  {"split_by_punct", &config.splits_at_punctuation},
                                  {"legacy", &config.legacy},
                                  {"add_bos_token", &config.adds_begin},
                                  {"add_eos_token", &config.adds_end}})
    if (const auto given = root.optional_member(key)) *flag = given->boolean();
  if (const auto removes = root.optional_member("remove_space"); removes && !removes->boolean())
    removes->refuse("false", "true");
  // transformers 5 takes no notice of these; older versions did.
  for (const char* key : {"do_basic_tokenize", "clean_text"})
    if (const auto flag = root.optional_member(key); flag && !flag->boolean())
      flag->refuse("false", "true");
  if (const auto prefix = root.optional_member("wordpieces_prefix")) prefix->expect_one_of({"##"});
  if (const auto side = root.optional_member("truncation_side")) {
    side->expect_one_of({"right", "left"});
    config.truncates_left = side->string() == "left";
  }
  if (const auto inputs = root.optional_member("model_input_names")) {
    bool types = false;
    for (std::size_t i = 0, count = inputs->array_size(); i < count; ++i)
      types = types || inputs->element(i).string() == "token_type_ids";
    config.single_type = !types;
    config.names_inputs = true;
  }
  read_names(root, false, file, config);
  if (const auto decoder = root.optional_member("added_tokens_decoder"))
    read_decoder(*decoder, file, config);
}

void read_special_tokens_map(const fs::path& file, TokenizerConfig& config) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  expect_keys(document, file);
  read_names(JsonField(document, file), true, file, config);
}

void read_added_tokens(const fs::path& file, TokenizerConfig& config) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  const JsonField root(document, file);
  std::set<std::string> special;
  for (const auto& [role, token] : config.names) special.insert(token.content);
  for (const AddedToken& token : config.extra_tokens) special.insert(token.content);
  for (const auto& [content, index] : root.object().items()) {
    AddedToken token;
    token.content = content;
    token.special = special.contains(content);
    token.id = static_cast<std::int32_t>(
        root.member(content).integer(0, std::numeric_limits<std::int32_t>::max() - 1));
    token.normalized = !token.special;
    config.added_tokens.push_back(std::move(token));
  }
}

/// The class of the model's tokenizers, where tokenizer_config.json does not name one.
void read_model_class(const fs::path& file, TokenizerConfig& config) {
  const nlohmann::json document = read_json(file, tokenizer_limits);
  const JsonField root(document, file);
  if (const auto name = root.optional_member("tokenizer_class")) return set_class(*name, config);
  const auto type = root.optional_member("model_type");
  if (!type) return;
  const TokenizerClass* known = find_class_of_model(type->string());
  if (known == nullptr)
    type->refuse("'" + type->string() + "'",
                 "a model whose tokenizer is known, or a tokenizer_class in tokenizer_config.json");
  config.class_name = known->name;
  take_class(*known, config);
}

}  // namespace

TokenizerConfig read_tokenizer_config(const fs::path& folder) {
  TokenizerConfig config;
  config.folder = folder;
  const auto has = [&](const char* name) {
    std::error_code failure;
    return fs::exists(folder / name, failure);
  };
  if (has("tokenizer_config.json")) read_config(folder / "tokenizer_config.json", config);
  if (config.kind == Kind::unknown && has("config.json"))
    read_model_class(folder / "config.json", config);
  if (!config.lists_all_added_tokens) {
    if (has("special_tokens_map.json"))
      read_special_tokens_map(folder / "special_tokens_map.json", config);
    if (has("added_tokens.json")) read_added_tokens(folder / "added_tokens.json", config);
  }
  std::ranges::sort(config.added_tokens, {}, &AddedToken::id);
  return config;
}

}  // namespace rankfold
