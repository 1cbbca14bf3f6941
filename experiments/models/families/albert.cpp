#include "experiments/models/families/family_parts.h"

// ALBERT: one layer's weights for all layers (of a group), and a narrow token embedding.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  ModelShape shape = encoder_preset("albert-base-v2", 12, 768, 30000);
  shape.distinct_layers = 1;
  shape.embedding = 128;
  shape.token_types = 2;
  return {shape};
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_text_encoder(config);
  shape.distinct_layers = read_size(config, "num_hidden_groups", largest_size, 1);
  shape.embedding = read_size(config, "embedding_size");
  require_divisor(config, "num_hidden_groups", shape.distinct_layers, "num_hidden_layers",
                  shape.layers);
  return shape;
}

std::size_t own_norm_parameters(const ModelShape& shape) {
  return 2 * shape.embedding + 2 * shape.distinct_layers * 2 * shape.hidden;
}

/// With the map from the embedding to the hidden states, and the pooler.
std::size_t parameters(const ModelShape& shape) {
  return table_parameters(shape) + shape.distinct_layers * encoder_layer_parameters(shape) +
         own_norm_parameters(shape) + (shape.embedding + 1) * shape.hidden +
         shape.hidden * (shape.hidden + 1);
}

}  // namespace

const Family& albert_family() {
  static const Family family = {
      .name = "albert",
      .architecture = "Albert",
      .keys = joined(
          {text_encoder_keys(),
           keys_of(ForeignKey::Meaning::read,
                   {"embedding_size", "num_hidden_groups", "classifier_dropout_prob"}),
           {{"inner_group_num", ForeignKey::Meaning::off_only, {"1"}}},
           keys_of(ForeignKey::Meaning::changes_nothing,
                   {"net_structure_type", "gap_size", "num_memory_blocks", "down_scale_factor"})}),
      .modules = {.layer = "albert.encoder.albert_layer_groups.{}.albert_layers.0.",
                  .q = "attention.query",
                  .k = "attention.key",
                  .v = "attention.value",
                  .o = "attention.dense",
                  .up = "ffn",
                  .down = "ffn_output"},
      .adapter_places = {MatrixType::o, MatrixType::down},
      .presets = presets,
      .read = read,
      .norm_parameters = own_norm_parameters,
      .parameters = parameters};
  return family;
}

}  // namespace rankfold
