#include "experiments/models/families/deberta_parts.h"

// DeBERTa: relative positions with maps of their own beside keys and queries, q, k and v fused.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  ModelShape shape = deberta_preset("deberta-base", 50265, 1024);
  shape.position_keys = shape.position_queries = true;
  return {shape};
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_deberta_sizes(config);
  shape.talking_heads = config.flag("talking_head", false);
  const RelativePositions positions = read_relative_positions(config, shape);
  if (!positions.on) return shape;
  shape.position_keys = positions.terms.contains("c2p");
  shape.position_queries = positions.terms.contains("p2c");
  shape.relative_rows = 2 * positions.rows;
  return shape;
}

/// in_proj, q_bias, v_bias, output; pos_proj, pos_q_proj.
std::size_t layer_parameters(const ModelShape& shape) {
  const std::size_t hidden = shape.hidden, square = hidden * hidden;
  return 3 * square + 2 * hidden + square + hidden + encoder_mlp_parameters(shape) +
         (shape.position_keys ? square : 0) + (shape.position_queries ? square + hidden : 0) +
         (shape.talking_heads ? 2 * shape.heads * shape.heads : 0);
}

std::size_t parameters(const ModelShape& shape) {
  return deberta_outer_parameters(shape) + shape.layers * layer_parameters(shape);
}

FamilyModules modules() {
  FamilyModules modules = encoder_modules("deberta.encoder.layer.{}.", nullptr, nullptr, nullptr);
  modules.in_proj = "attention.self.in_proj";
  return modules;
}

}  // namespace

const Family& deberta_family() {
  static const Family family = {
      .name = "deberta",
      .architecture = "Deberta",
      .keys = joined({deberta_keys(), keys_of(ForeignKey::Meaning::read, {"talking_head"})}),
      .modules = modules(),
      .adapter_places = {MatrixType::o, MatrixType::down},
      .trains_dense = true,
      .presets = presets,
      .read = read,
      .norm_parameters = deberta_norm_parameters,
      .parameters = parameters};
  return family;
}

}  // namespace rankfold
