#include "experiments/models/families/family_parts.h"

// ViT: patches of an image and a class token in place of words.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  ModelShape shape = encoder_preset("vit-base-patch16", 12, 768, 0);
  shape.positions = shape.position_rows = 14 * 14 + 1;
  shape.patch_values = 3 * 16 * 16;
  return {shape};
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_layer_sizes(config);
  const std::size_t image = read_size(config, "image_size", 10'000),
                    patch = read_size(config, "patch_size");
  require_divisor(config, "patch_size", patch, "image_size", image);
  shape.positions = shape.position_rows = (image / patch) * (image / patch) + 1;
  shape.patch_values = read_size(config, "num_channels", largest_size, 3) * patch * patch;
  shape.attention_bias = config.flag("qkv_bias", true);
  return shape;
}

/// With the map of patches, its bias, and the class token.
std::size_t parameters(const ModelShape& shape) {
  return encoder_parameters(shape) + shape.patch_values * shape.hidden + 2 * shape.hidden;
}

}  // namespace

const Family& vit_family() {
  static const Family family = {
      .name = "vit",
      .keys = joined({encoder_keys(),
                      keys_of(ForeignKey::Meaning::read,
                              {"image_size", "patch_size", "num_channels", "qkv_bias"}),
                      // The pooler and the decoder of pixels, which no classifier reads.
                      keys_of(ForeignKey::Meaning::changes_nothing,
                              {"encoder_stride", "pooler_act", "pooler_output_size"})}),
      .modules = encoder_modules("vit.encoder.layer.{}.", "attention.attention.query",
                                 "attention.attention.key", "attention.attention.value"),
      .adapter_places = {MatrixType::o, MatrixType::down},
      .dense_before_output = false,
      .presets = presets,
      .read = read,
      .norm_parameters = encoder_norm_parameters,
      .parameters = parameters};
  return family;
}

}  // namespace rankfold
