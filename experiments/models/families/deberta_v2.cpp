#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/families/deberta_parts.h"

// DeBERTa-v2 and v3: relative positions in buckets, whose maps may be the keys' and queries', and a
// convolution beside the first layer.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  ModelShape shape = deberta_preset("deberta-v3-base", 128100, 512);
  shape.relative_norm = true;  // and its positions share the keys' and queries' maps
  return {shape};
}

bool read_relative_norm(const ConfigFile& config) {
  bool normalises = false;
  for (const std::string& part : config.texts("norm_rel_ebd", "none")) {
    const std::string word(trim(part));
    if (word != "none" && word != "layer_norm")
      throw Error("{}: norm_rel_ebd holds '{}', expected none or layer_norm",
                  printable(config.path().string()), printable(word, 80));
    normalises = normalises || word == "layer_norm";
  }
  return normalises;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_deberta_sizes(config);
  shape.talking_heads = config.flag("talking_head", false);
  require_size(config, "attention_head_size", shape.head_size);
  shape.relative_norm = read_relative_norm(config);
  shape.convolution =
      static_cast<std::size_t>(config.integer("conv_kernel_size", 0, largest_size, 0));
  shape.convolution_groups = read_size(config, "conv_groups", largest_size, 1);
  require_divisor(config, "conv_groups", shape.convolution_groups, "hidden_size", shape.hidden);
  const RelativePositions positions = read_relative_positions(config, shape);
  if (!positions.on) return shape;
  const bool shares = config.flag("share_att_key", false);
  shape.position_keys = !shares && positions.terms.contains("c2p");
  shape.position_queries = !shares && positions.terms.contains("p2c");
  shape.relative_rows =
      2 * (positions.buckets > 0 ? static_cast<std::size_t>(positions.buckets) : positions.rows);
  return shape;
}

std::size_t parameters(const ModelShape& shape) {
  const std::size_t maps = (shape.position_keys ? 1 : 0) + (shape.position_queries ? 1 : 0);
  return deberta_outer_parameters(shape) +
         shape.layers * (encoder_layer_parameters(shape) +
                         maps * (shape.hidden * shape.hidden + shape.hidden));
}

std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const ModelShape& shape = source.shape;
  require_key(source, "conv_kernel_size", shape.convolution, 0,
              "the convolution beside the first layer is not computed");
  DebertaVersion version;
  // As the built-in shapes have them.
  version.positions = RelativePositions{true, {"c2p", "p2c"}, shape.positions, 256};
  if (source.config) version.positions = read_relative_positions(*source.config, shape);
  version.buckets.span = shape.relative_rows / 2;
  if (version.positions.buckets > 0) {
    version.buckets.buckets = static_cast<std::size_t>(version.positions.buckets);
    version.buckets.farthest = version.positions.rows;
  }
  return load_deberta(source, settings, std::move(device), version);
}

FamilyModules modules() {
  FamilyModules modules =
      encoder_modules("deberta.encoder.layer.{}.", "attention.self.query_proj",
                      "attention.self.key_proj", "attention.self.value_proj", "pooler.dense");
  modules.position_k = "attention.self.pos_key_proj";
  modules.position_q = "attention.self.pos_query_proj";
  return modules;
}

}  // namespace

const Family& deberta_v2_family() {
  static const Family family = {
      .name = "deberta-v2",
      .architecture = "DebertaV2",
      .keys = joined({deberta_keys(), keys_of(ForeignKey::Meaning::read,
                                              {"position_buckets", "share_att_key", "norm_rel_ebd",
                                               "attention_head_size", "conv_kernel_size",
                                               "conv_groups", "conv_act"})}),
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
