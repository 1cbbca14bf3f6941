#include "experiments/tokenizers/sequence_template.h"

namespace rankfold {

using Kind = TemplatePart::Kind;

SequenceTemplates bert_templates(std::int32_t classification_id, std::int32_t separator_id) {
  const SequenceTemplate single = {{Kind::token, classification_id, 0},
                                   {Kind::first_text, 0, 0},
                                   {Kind::token, separator_id, 0}};
  SequenceTemplate pair = single;
  pair.push_back({Kind::second_text, 0, 1});
  pair.push_back({Kind::token, separator_id, 1});
  return {single, pair};
}

SequenceTemplates plain_templates() {
  return {{{Kind::first_text, 0, 0}}, {{Kind::first_text, 0, 0}, {Kind::second_text, 0, 1}}};
}

}  // namespace rankfold
