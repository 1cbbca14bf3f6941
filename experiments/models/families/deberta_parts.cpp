#include "experiments/models/families/deberta_parts.h"

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

std::vector<ForeignKey> deberta_keys() {
  return joined({text_encoder_keys(),
                 keys_of(ForeignKey::Meaning::read,
                         {"embedding_size", "relative_attention", "max_relative_positions",
                          "pos_att_type", "position_biased_input", "pooler_hidden_size",
                          "pooler_hidden_act", "pooler_dropout", "cls_dropout"}),
                 // The head of masked language models.
                 keys_of(ForeignKey::Meaning::changes_nothing, {"legacy", "padding_idx"})});
}

ModelShape deberta_preset(std::string name, std::size_t vocabulary, std::size_t relative_rows) {
  ModelShape shape = encoder_preset(std::move(name), 12, 768, vocabulary);
  shape.position_rows = 0;
  shape.relative_rows = relative_rows;
  return shape;
}

ModelShape read_deberta_sizes(const ConfigFile& config) {
  ModelShape shape = read_text_sizes(config);
  shape.token_types =
      static_cast<std::size_t>(config.integer("type_vocab_size", 0, largest_size, 0));
  shape.position_rows = config.flag("position_biased_input", true) ? shape.positions : 0;
  shape.embedding = read_size(config, "embedding_size", largest_size, shape.hidden);
  require_size(config, "pooler_hidden_size", shape.hidden);
  return shape;
}

RelativePositions read_relative_positions(const ConfigFile& config, const ModelShape& shape) {
  RelativePositions positions;
  // A list, or the older "c2p|p2c".
  if (config.has("pos_att_type"))
    for (const std::string& part : config.texts("pos_att_type")) {
      const std::string term(trim(part));
      if (term != "c2p" && term != "p2c")
        throw Error("{}: pos_att_type holds '{}', expected c2p and p2c",
                    printable(config.path().string()), printable(term, 80));
      positions.terms.insert(term);
    }
  const std::int64_t span = config.integer("max_relative_positions", -1, largest_size, -1);
  positions.buckets = config.integer("position_buckets", -1, largest_size, -1);
  positions.on = config.flag("relative_attention", false);
  positions.rows = span < 1 ? shape.positions : static_cast<std::size_t>(span);
  return positions;
}

std::size_t deberta_norm_parameters(const ModelShape& shape) {
  const std::size_t further = (shape.relative_norm ? 1 : 0) + (shape.convolution > 0 ? 1 : 0);
  return encoder_norm_parameters(shape) + further * 2 * shape.hidden;
}

std::size_t deberta_outer_parameters(const ModelShape& shape) {
  std::size_t count = table_parameters(shape) + deberta_norm_parameters(shape);
  if (shape.embedding != shape.hidden) count += shape.embedding * shape.hidden;
  if (shape.convolution > 0)
    count +=
        shape.hidden * (shape.hidden / shape.convolution_groups) * shape.convolution + shape.hidden;
  return count;
}

}  // namespace rankfold
