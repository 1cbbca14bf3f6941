#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/added_token_list.h"
#include "experiments/tokenizers/written_tokenizer.h"

namespace rankfold {
namespace {

using ConfigKind = TokenizerConfig::Kind;

std::string truth(bool value) {
  return value ? "true" : "false";
}

[[noreturn]] void refuse_config(const TokenizerConfig& config, const char* key, bool found,
                                const std::string& why) {
  throw Error("{}: key '{}': found {}, expected {}{}",
              printable((config.folder / "tokenizer_config.json").string()), key, truth(found),
              truth(!found), why);
}

/// What tokenizer_config.json says must be what the tokenizer's own file does: versions of
/// transformers differ in which of them they follow.
void check_against_config(const WrittenTokenizer& written, const TokenizerConfig& config) {
  const std::string file = printable(written.file.filename().string());
  if (config.kind == ConfigKind::bert)
    throw Error(
        "{}: found a tokenizer that is not BERT's, expected WordPiece with BertNormalizer "
        "and BertPreTokenizer for {}",
        printable(written.file.string()), config.class_name);
  const auto expect = [&](const char* key, std::optional<bool> stated, bool does) {
    if (stated && *stated != does) refuse_config(config, key, *stated, " as " + file + " has it");
  };
  const auto becomes = [&](const char* text, const char* changed) {
    return written.pipeline->normalize(text).text.find(changed) != std::string::npos;
  };
  expect("do_lower_case", config.lowercase, becomes("A", "a"));
  expect("keep_accents", config.keeps_accents,
         !becomes("\u00E9", "e") || becomes("\u00E9", "e\u0301"));
  if (written.adds_prefix_space) {
    expect("add_prefix_space", config.adds_prefix_space, *written.adds_prefix_space);
    if (!config.adds_prefix_space && *written.adds_prefix_space && config.known_class != nullptr &&
        config.known_class->adds_space_if_told)
      throw Error(
          "{}: key 'add_prefix_space': found true, expected false: {} of transformers takes "
          "this where tokenizer_config.json has no add_prefix_space",
          printable(written.file.string()), config.class_name);
  }
  if (config.kind != ConfigKind::built || !written.templates) return;
  // Classes that put their own cls and sep around texts take no notice of the two keys.
  const auto is_cls = [](const TokenizerClass::Name& name) {
    return name.role == std::string_view("cls_token");
  };
  if (std::ranges::any_of(config.known_class->special_tokens, is_cls)) return;
  const SequenceTemplate& single = written.templates->single;
  const auto is_token = [](const TemplatePart& part) {
    return part.kind == TemplatePart::Kind::token;
  };
  expect("add_bos_token", config.adds_begin, !single.empty() && is_token(single.front()));
  expect("add_eos_token", config.adds_end, !single.empty() && is_token(single.back()));
}

/// Special tokens by role: those that files name; where the class builds the tokenizer, its own
/// too.
std::map<std::string, AddedToken> special_tokens(const WrittenTokenizer& written,
                                                 const TokenizerConfig& config) {
  std::map<std::string, AddedToken> names = config.names;
  if (config.kind == ConfigKind::as_written && written.padding_token)
    names.try_emplace("pad_token", AddedToken{.content = *written.padding_token, .special = true});
  if (written.templates || config.known_class == nullptr) return names;
  for (const auto& [role, content, lstrip] : config.known_class->special_tokens)
    if (!config.unnamed.contains(role))
      names.try_emplace(role, AddedToken{.content = content, .lstrip = lstrip, .special = true});
  return names;
}

SequenceTemplates enclose(const WrittenTokenizer& written, const Vocabulary& vocabulary,
                          const std::map<std::string, AddedToken>& names,
                          const AddedTokenList& added) {
  const auto id_of = [&](const char* role) {
    const auto found = names.find(role);
    if (found == names.end())
      throw Error("{}: found no {}, expected this special token in tokenizer_config.json",
                  printable(written.file.string()), role);
    return require_token(found->second.content, vocabulary, added, written.file);
  };
  using Enclosing = WrittenTokenizer::Enclosing;
  if (written.enclosing == Enclosing::bert)
    return bert_templates(id_of("cls_token"), id_of("sep_token"));
  if (written.enclosing == Enclosing::roberta)
    return roberta_templates(id_of("cls_token"), id_of("sep_token"));
  std::optional<std::int32_t> begin, end;
  if (written.adds_begin) begin = id_of("bos_token");
  if (written.adds_end) end = id_of("eos_token");
  return enclosed_templates(begin, end);
}

}  // namespace

std::unique_ptr<Tokenizer> make_pipeline_tokenizer(WrittenTokenizer written,
                                                   const TokenizerConfig& config) {
  check_against_config(written, config);
  const Vocabulary& vocabulary = written.pipeline->vocabulary();
  AddedTokenList added = listed_tokens(written, vocabulary, config);
  const auto names = special_tokens(written, config);
  add_special_tokens(names, config.extra_tokens, added);
  SequenceTemplates templates =
      written.templates ? *written.templates : enclose(written, vocabulary, names, added);
  return finish_tokenizer(std::move(written.pipeline), added, std::move(templates), written,
                          config);
}

}  // namespace rankfold
