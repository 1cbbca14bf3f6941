#include "experiments/tokenizers/written_tokenizer.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/added_token_list.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Kind = TokenizerConfig::Kind;

std::string shown(bool value) {
  return value ? "true" : "false";
}
std::string shown(const std::string& value) {
  return "'" + printable(value, 80) + "'";
}

/// One option of a tokenizer, by its key in tokenizer_config.json and in the tokenizer's own file.
struct Option {
  const char* key;
  const char* written_key;
};

/// What transformers takes: BertTokenizer takes tokenizer_config.json's value or its own default,
/// whatever tokenizer.json says; a class that takes tokenizer.json as it stands, that. Where one
/// file outvotes what another says, and its author may not know it, this is refused.
template <class Value>
Value settle(const Option& option, const std::optional<Value>& configured, const Value& otherwise,
             const std::optional<Value>& written, const fs::path& file,
             const TokenizerConfig& config) {
  const bool is_bert = config.kind == Kind::bert;
  if (!written || (configured && is_bert)) return configured.value_or(otherwise);
  if (configured && *configured != *written)
    throw Error("{}: key '{}': found {}, expected {} as {} of {}{}",
                printable((config.folder / "tokenizer_config.json").string()), option.key,
                shown(*configured), shown(*written), option.written_key,
                printable(file.filename().string()),
                config.class_name.empty() ? ": no tokenizer_class says which of them counts"
                                          : ", which " + config.class_name + " follows");
  if (is_bert && *written != otherwise)
    throw Error(
        "{}: key '{}': found {}, expected {}: {} of transformers takes this where "
        "tokenizer_config.json has no {}",
        printable(file.string()), option.written_key, shown(*written), shown(otherwise),
        config.class_name, option.key);
  return *written;
}

BertNormalizerOptions settle_normalizer(const WrittenTokenizer& written,
                                        const TokenizerConfig& config) {
  const auto& given = written.normalizer;
  const auto flag = [&](bool value) { return given ? std::optional(value) : std::nullopt; };
  const auto settled = [&](const Option& option, std::optional<bool> configured, bool otherwise,
                           std::optional<bool> value) {
    return settle(option, configured, otherwise, value, written.file, config);
  };
  const WrittenTokenizer::Normalizer file = given.value_or(WrittenTokenizer::Normalizer{});
  BertNormalizerOptions options;
  options.clean_text = file.clean_text;
  options.handle_chinese_chars =
      settled({"tokenize_chinese_chars", "normalizer.handle_chinese_chars"},
              config.handle_chinese_chars, true, flag(file.handle_chinese_chars));
  options.lowercase = settled({"do_lower_case", "normalizer.lowercase"}, config.lowercase, true,
                              flag(file.lowercase));
  const std::optional<bool> strips = config.kind == Kind::bert
                                         ? file.strip_accents
                                         : flag(file.strip_accents.value_or(file.lowercase));
  options.strip_accents = settled({"strip_accents", "normalizer.strip_accents"},
                                  config.strip_accents, options.lowercase, strips);
  return options;
}

std::string name_or(const TokenizerConfig& config, const char* role, const char* otherwise) {
  const auto found = config.names.find(role);
  return found == config.names.end() ? otherwise : found->second.content;
}

/// The class's own settings of the model, which tokenizer.json cannot change.
void check_class(const WrittenTokenizer& written, const TokenizerConfig& config) {
  if (config.kind == Kind::built)
    throw Error("{}: found WordPiece as BERT has it, expected another tokenizer: {} is not BERT's",
                printable(written.file.string()), config.class_name);
  if (config.adds_prefix_space.value_or(false))
    throw Error("{}: key 'add_prefix_space': found true, expected false: BERT splits at spaces",
                printable((config.folder / "tokenizer_config.json").string()));
  if (config.kind != Kind::bert) return;
  const auto refuse = [&](const char* key, const std::string& found, const std::string& expected) {
    throw Error("{}: key '{}': found {}, expected {} as {} of transformers has it",
                printable(written.file.string()), key, found, expected, config.class_name);
  };
  if (written.normalizer && !written.normalizer->clean_text)
    refuse("normalizer.clean_text", "false", "true");
  if (written.continuing_prefix != "##")
    refuse("model.continuing_subword_prefix", shown(written.continuing_prefix), "'##'");
  if (written.max_characters_per_word != 100)
    refuse("model.max_input_chars_per_word", std::to_string(written.max_characters_per_word),
           "100");
}

/// The special tokens of a tokenizer that transformers' BERT classes make.
std::map<std::string, AddedToken> bert_special_tokens(const WrittenTokenizer& written,
                                                      const TokenizerConfig& config) {
  std::map<std::string, AddedToken> names = config.names;
  if (config.kind == Kind::as_written && written.padding_token)
    names.try_emplace("pad_token", AddedToken{.content = *written.padding_token, .special = true});
  if (config.kind != Kind::as_written && !(config.kind == Kind::unknown && written.templates))
    for (const auto& [role, name] : {std::pair{"unk_token", "[UNK]"},
                                     {"sep_token", "[SEP]"},
                                     {"pad_token", "[PAD]"},
                                     {"cls_token", "[CLS]"},
                                     {"mask_token", "[MASK]"}})
      names.try_emplace(role, AddedToken{.content = name, .special = true});
  return names;
}

SequenceTemplates settle_templates(const WrittenTokenizer& written, const TokenizerConfig& config,
                                   const AddedTokenList& added) {
  SequenceTemplates templates;
  if (written.templates && config.kind != Kind::bert) {
    templates = *written.templates;
  } else {
    const std::string begin = name_or(config, "cls_token", "[CLS]"),
                      end = name_or(config, "sep_token", "[SEP]");
    const auto id_of = [&](const std::string& token) {
      return require_token(token, written.vocabulary, added, written.file);
    };
    templates = bert_templates(id_of(begin), id_of(end));
    if (written.templates && templates != *written.templates)
      throw Error("{}: key 'post_processor': expected {} A {} B {}, as {} of transformers has it",
                  printable(written.file.string()), printable(begin, 80), printable(end, 80),
                  printable(end, 80), config.class_name);
  }
  return templates;
}

}  // namespace

AddedTokenList listed_tokens(const WrittenTokenizer& written, const Vocabulary& vocabulary,
                             const TokenizerConfig& config) {
  AddedTokenList list(vocabulary);
  for (const AddedToken& token : written.added_tokens) list.add_with_id(token, written.file);
  const fs::path file = config.folder / (config.lists_all_added_tokens ? "tokenizer_config.json"
                                                                       : "added_tokens.json");
  if (config.kind == Kind::bert && config.lists_all_added_tokens) {
    AddedTokenList listed(vocabulary);
    for (const AddedToken& token : config.added_tokens) listed.add_with_id(token, file);
    for (const AddedToken& token : written.added_tokens)
      if (!listed.contains(token.content))
        throw Error(
            "{}: key 'added_tokens': {} is not in added_tokens_decoder of tokenizer_config.json, "
            "which {} of transformers follows",
            printable(written.file.string()), shown(token.content), config.class_name);
    list = std::move(listed);
  } else {
    for (const AddedToken& token : config.added_tokens) list.add_with_id(token, file);
  }
  return list;
}

void add_special_tokens(std::map<std::string, AddedToken> names,
                        const std::vector<AddedToken>& further, AddedTokenList& list) {
  for (const char* role :
       {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"})
    if (const auto token = names.extract(role)) list.add_if_new(token.mapped());
  for (const auto& [role, token] : names) list.add_if_new(token);
  for (const AddedToken& token : further) list.add_if_new(token);
}

std::int32_t require_token(const std::string& token, const Vocabulary& vocabulary,
                           const AddedTokenList& added, const fs::path& file) {
  if (const auto id = vocabulary.find(token)) return *id;
  if (const auto found = added.find(token)) return *found;
  throw Error("{}: found no '{}', expected this special token", printable(file.string()),
              printable(token, 200));
}

std::unique_ptr<Tokenizer> finish_tokenizer(std::unique_ptr<const TokenModel> model,
                                            const AddedTokenList& added,
                                            SequenceTemplates templates, WrittenTokenizer& written,
                                            const TokenizerConfig& config) {
  if (config.single_type)
    for (SequenceTemplate* sequence : {&templates.single, &templates.pair})
      for (TemplatePart& part : *sequence) part.type_id = 0;
  try {
    return std::make_unique<Tokenizer>(std::move(model), added.tokens(), std::move(templates),
                                       config.truncates_left.value_or(written.truncates_left),
                                       std::move(written.decoder));
  } catch (const UsageError&) {
    throw;
  } catch (const Error& error) {
    throw Error("{}: {}", printable(written.file.string()), error.what());
  }
}

std::unique_ptr<Tokenizer> make_tokenizer(WrittenTokenizer written, const TokenizerConfig& config) {
  if (written.pipeline) return make_pipeline_tokenizer(std::move(written), config);
  check_class(written, config);
  WordPieceOptions options;
  options.normalizer = settle_normalizer(written, config);
  options.continuing_prefix = written.continuing_prefix;
  options.max_characters_per_word = written.max_characters_per_word;
  const auto named = config.names.find("unk_token");
  options.unknown_token = settle<std::string>(
      {"unk_token", "model.unk_token"},
      named == config.names.end() ? std::nullopt : std::optional(named->second.content), "[UNK]",
      written.unknown_token, written.file, config);
  if (!written.vocabulary.find(options.unknown_token))
    throw Error("{}: key 'model.unk_token': found no '{}' in the vocabulary, expected this token",
                printable(written.file.string()), printable(options.unknown_token, 200));
  AddedTokenList added = listed_tokens(written, written.vocabulary, config);
  const SequenceTemplates templates = settle_templates(written, config, added);
  add_special_tokens(bert_special_tokens(written, config), config.extra_tokens, added);
  if (!written.decoder && (config.kind == Kind::bert))
    written.decoder = make_word_piece_decoder(written.continuing_prefix, true);
  return finish_tokenizer(std::make_unique<WordPiece>(std::move(written.vocabulary), options),
                          added, templates, written, config);
}

}  // namespace rankfold
