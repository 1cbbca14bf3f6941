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

SequenceTemplates roberta_templates(std::int32_t begin_id, std::int32_t end_id) {
  const TemplatePart begin = {Kind::token, begin_id, 0}, end = {Kind::token, end_id, 0};
  const TemplatePart first = {Kind::first_text, 0, 0}, second = {Kind::second_text, 0, 0};
  return {{begin, first, end}, {begin, first, end, end, second, end}};
}

SequenceTemplates plain_templates() {
  return {{{Kind::first_text, 0, 0}}, {{Kind::first_text, 0, 0}, {Kind::second_text, 0, 1}}};
}

SequenceTemplates enclosed_templates(std::optional<std::int32_t> begin_id,
                                     std::optional<std::int32_t> end_id) {
  SequenceTemplates templates;
  const auto add = [&](SequenceTemplate& sequence, Kind text, std::int32_t type) {
    if (begin_id) sequence.push_back({Kind::token, *begin_id, type});
    sequence.push_back({text, 0, type});
    if (end_id) sequence.push_back({Kind::token, *end_id, type});
  };
  add(templates.single, Kind::first_text, 0);
  templates.pair = templates.single;
  add(templates.pair, Kind::second_text, 1);
  return templates;
}

}  // namespace rankfold
