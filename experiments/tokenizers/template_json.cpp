#include <array>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "experiments/tokenizers/loaders.h"
#include "experiments/tokenizers/models/word_model.h"
#include "experiments/tokenizers/token_part.h"

namespace rankfold {
namespace {

/// Far above the handful of special tokens that real templates have.
constexpr std::size_t longest_template = 256;

/// Nothing where it changes no id.
using Templates = std::optional<SequenceTemplates>;

/// The ids that a special token of a template stands for.
std::vector<std::int32_t> read_special_token(const JsonField& special_tokens,
                                             const std::string& name) {
  const JsonField ids = special_tokens.member(name).member("ids");
  if (ids.array_size() > longest_template)
    ids.refuse(fmt::format("{} ids", ids.array_size()),
               fmt::format("at most {}", longest_template));
  std::vector<std::int32_t> values(ids.array_size());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = read_token_id(ids.element(i));
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
           read_token_id(text->member("type_id"))});
      continue;
    }
    const auto special = entry.optional_member("SpecialToken");
    if (!special) entry.refuse("neither of them", "'Sequence' or 'SpecialToken'");
    const std::int32_t type_id = read_token_id(special->member("type_id"));
    const std::string& token = special->member("id").string();
    const std::vector<std::int32_t> ids =
        read_special_token(processor.member("special_tokens"), token);
    check_length(ids.size());
    for (const std::int32_t id : ids) sequence.push_back({TemplatePart::Kind::token, id, type_id});
  }
  return sequence;
}

Templates read_template_processing(const JsonField& processor) {
  expect_part_keys(processor, {"single", "pair", "special_tokens"});
  return SequenceTemplates{read_template(processor, "single"), read_template(processor, "pair")};
}

/// The id of ["[SEP]", 102].
std::int32_t read_token_and_id(const JsonField& field) {
  if (field.array_size() != 2)
    field.refuse(fmt::format("{} elements", field.array_size()), "a token and its id");
  field.element(0).string();
  return read_token_id(field.element(1));
}

Templates read_bert_processing(const JsonField& processor) {
  expect_part_keys(processor, {"cls", "sep"});
  return bert_templates(read_token_and_id(processor.member("cls")),
                        read_token_and_id(processor.member("sep")));
}

Templates read_roberta_processing(const JsonField& processor) {
  // Both change offsets.
  expect_part_keys(processor, {"cls", "sep", "trim_offsets", "add_prefix_space"});
  return roberta_templates(read_token_and_id(processor.member("cls")),
                           read_token_and_id(processor.member("sep")));
}

Templates read_byte_level_processing(const JsonField& processor) {
  expect_part_keys(processor, {"add_prefix_space", "trim_offsets", "use_regex"});
  return std::nullopt;
}

Templates read_processing_sequence(const JsonField& processor);

struct ProcessorKind {
  std::string_view type;
  Templates (*read)(const JsonField&);
};

constexpr std::array<ProcessorKind, 5> processor_kinds = {{
    {"BertProcessing", read_bert_processing},
    {"ByteLevel", read_byte_level_processing},
    {"RobertaProcessing", read_roberta_processing},
    {"Sequence", read_processing_sequence},
    {"TemplateProcessing", read_template_processing},
}};

Templates read_processor(const JsonField& processor) {
  const JsonField type = processor.member("type");
  std::string known;
  for (const ProcessorKind& kind : processor_kinds) {
    if (kind.type == type.string()) return kind.read(processor);
    known += (known.empty() ? "" : ", ") + std::string(kind.type);
  }
  type.refuse("'" + type.string() + "'", "one of " + known);
}

Templates read_processing_sequence(const JsonField& processor) {
  expect_part_keys(processor, {"processors"});
  const JsonField list = processor.member("processors");
  Templates templates;
  for (std::size_t i = 0, count = list.array_size(); i < count; ++i) {
    Templates next = read_processor(list.element(i));
    if (!next) continue;
    if (templates) list.element(i).refuse("further special tokens", "one template in a sequence");
    templates = std::move(next);
  }
  return templates;
}

}  // namespace

SequenceTemplates read_templates(const std::optional<JsonField>& processor) {
  const Templates templates = processor ? read_processor(*processor) : std::nullopt;
  return templates.value_or(plain_templates());
}

}  // namespace rankfold
