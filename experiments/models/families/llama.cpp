#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/families/family_parts.h"

// Llama 1 to 3: pre-norm decoder with RMS norms, rotary positions, a gated feed-forward part and
// shared key and value heads.

namespace rankfold {
namespace {

ModelShape preset(std::string name, std::size_t layers, std::size_t hidden,
                  std::size_t intermediate, std::size_t key_value_heads, std::size_t vocabulary,
                  std::size_t positions) {
  ModelShape shape = encoder_preset(std::move(name), layers, hidden, vocabulary);
  shape.intermediate = intermediate;
  shape.head_size = 128;
  shape.heads = hidden / 128;
  shape.key_value_heads = key_value_heads;
  shape.positions = positions;
  shape.position_rows = 0;
  shape.attention_bias = shape.mlp_bias = false;
  return shape;
}

std::vector<ModelShape> presets() {
  return {preset("llama-7b", 32, 4096, 11008, 32, 32000, 2048),
          preset("llama-2-7b", 32, 4096, 11008, 32, 32000, 4096),
          preset("llama-2-13b", 40, 5120, 13824, 40, 32000, 4096),
          preset("llama-2-70b", 80, 8192, 28672, 8, 32000, 4096),
          preset("llama-3-8b", 32, 4096, 14336, 8, 128256, 8192),
          preset("llama-3.2-3b", 28, 3072, 8192, 8, 128256, 131072)};
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_text_sizes(config);
  shape.key_value_heads = read_size(config, "num_key_value_heads", largest_size, shape.heads);
  shape.head_size = read_size(config, "head_dim", largest_size, shape.head_size);
  if (shape.head_size % 2 != 0)
    throw Error("{}: head_dim is {}, expected an even number: rotary positions turn pairs",
                printable(config.path().string()), shape.head_size);
  shape.attention_bias = config.flag("attention_bias", false);
  shape.mlp_bias = config.flag("mlp_bias", false);
  require_divisor(config, "num_key_value_heads", shape.key_value_heads, "num_attention_heads",
                  shape.heads);
  return shape;
}

std::size_t own_norm_parameters(const ModelShape& shape) {
  return (2 * shape.layers + 1) * shape.hidden;
}

std::size_t layer_parameters(const ModelShape& shape) {
  const std::size_t hidden = shape.hidden, attention = shape.heads * shape.head_size,
                    key_value = shape.key_value_heads * shape.head_size;
  return 2 * hidden * attention + 2 * hidden * key_value + 3 * hidden * shape.intermediate +
         attention_bias_parameters(shape) + (shape.attention_bias ? hidden : 0) +
         (shape.mlp_bias ? 2 * shape.intermediate + hidden : 0);
}

std::size_t parameters(const ModelShape& shape) {
  return table_parameters(shape) + shape.layers * layer_parameters(shape) +
         own_norm_parameters(shape);
}

}  // namespace

const Family& llama_family() {
  static const Family family = {
      .name = "llama",
      .architecture = "Llama",
      // No host computes it yet: "changes nothing" is said of sizes and counts.
      .keys =
          joined({keys_of(ForeignKey::Meaning::read,
                          {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                           "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act",
                           "max_position_embeddings", "rms_norm_eps", "attention_bias", "mlp_bias",
                           "attention_dropout", "rope_parameters", "rope_scaling", "rope_theta"}),
                  keys_of(ForeignKey::Meaning::changes_nothing,
                          {"pretraining_tp", "max_sequence_length", "is_llama_config",
                           "rope_interleaved", "partial_rotary_factor"})}),
      .modules = {.layer = "model.layers.{}.",
                  .q = "self_attn.q_proj",
                  .k = "self_attn.k_proj",
                  .v = "self_attn.v_proj",
                  .o = "self_attn.o_proj",
                  .gate = "mlp.gate_proj",
                  .up = "mlp.up_proj",
                  .down = "mlp.down_proj"},
      .adapter_places = {MatrixType::gate, MatrixType::up, MatrixType::down},
      .output_bias = false,
      .dense_before_output = false,
      .head = "score",
      .output_layer = "score",
      .presets = presets,
      .read = read,
      .norm_parameters = own_norm_parameters,
      .parameters = parameters};
  return family;
}

}  // namespace rankfold
