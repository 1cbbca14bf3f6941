#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rankfold {

/// One part of a sequence: a whole text, or one special token; with the type id of its tokens.
struct TemplatePart {
  enum class Kind { first_text, second_text, token };
  Kind kind = Kind::token;
  std::int32_t token = 0;
  std::int32_t type_id = 0;
  bool operator==(const TemplatePart&) const = default;
};

using SequenceTemplate = std::vector<TemplatePart>;

/// How one text and how two texts become a sequence: each text stands exactly once.
struct SequenceTemplates {
  SequenceTemplate single, pair;
  bool operator==(const SequenceTemplates&) const = default;
};

/// BERT's: [CLS] A [SEP] with type 0, and [CLS] A [SEP] of type 0 followed by B [SEP] of type 1
/// (Devlin et al., 2019, figure 2).
SequenceTemplates bert_templates(std::int32_t classification_id, std::int32_t separator_id);

/// RoBERTa's: <s> A </s>, and <s> A </s> </s> B </s>, all of type 0 (Liu et al., 2019).
SequenceTemplates roberta_templates(std::int32_t begin_id, std::int32_t end_id);

/// A with a token before it, behind it, or both; then the same with B, of type 1.
SequenceTemplates enclosed_templates(std::optional<std::int32_t> begin_id,
                                     std::optional<std::int32_t> end_id);

/// A alone, and A of type 0 followed by B of type 1: no special tokens.
SequenceTemplates plain_templates();

}  // namespace rankfold
