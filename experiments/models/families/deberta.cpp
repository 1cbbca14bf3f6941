#include <utility>
#include <vector>

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

std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const ModelShape& shape = source.shape;
  require_key(source, "talking_head", shape.talking_heads, 0, "mixing of heads is not computed");
  DebertaVersion version;
  version.positions = source.config ? read_relative_positions(*source.config, shape)
                                    : RelativePositions{true, {"c2p", "p2c"}};
  version.buckets.span = shape.relative_rows / 2;
  return load_deberta(source, settings, std::move(device), version);
}

FamilyModules modules() {
  FamilyModules modules =
      encoder_modules("deberta.encoder.layer.{}.", nullptr, nullptr, nullptr, "pooler.dense");
  modules.in_proj = "attention.self.in_proj";
  modules.by_head = true;
  modules.position_k = "attention.self.pos_proj";
  modules.position_q = "attention.self.pos_q_proj";
  modules.position_k_bias = false;
  modules.part_biases = {"attention.self.q_bias", nullptr, "attention.self.v_bias"};
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
      .dense_apart = true,
      .presets = presets,
      .read = read,
      .norm_parameters = deberta_norm_parameters,
      .parameters = parameters,
      .load = load};
  return family;
}

}  // namespace rankfold
