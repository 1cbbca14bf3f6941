#include "experiments/models/decoder_reader.h"
#include "experiments/models/families/family_parts.h"
#include "experiments/models/families/llama_parts.h"
#include "experiments/models/rotary_config.h"

// StarCoder 2: pre-norm decoder with Llama's attention, norms with mean and shift, biases
// everywhere, and a feed-forward part without a gate.

namespace rankfold {
namespace {

void set_biases(ModelShape& shape, bool has_biases) {
  shape.attention_bias = shape.attention_output_bias = shape.mlp_bias = has_biases;
}

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {
      llama_preset("starcoder2-3b", 30, 3072, 12288, {24, 2, 128}, 49152, 16384)};
  shapes.front().windows.assign(30, 4096);
  shapes.front().tied_output = true;
  set_biases(shapes.front(), true);
  return shapes;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_llama_sizes(config);
  // The number of transformers' class, not that of the query heads.
  shape.key_value_heads = read_size(config, "num_key_value_heads", largest_size, 2);
  require_divisor(config, "num_key_value_heads", shape.key_value_heads, "num_attention_heads",
                  shape.heads);
  set_biases(shape, config.flag("use_bias", true));
  shape.windows.assign(shape.layers, read_size(config, "sliding_window", largest_size, 0));
  shape.tied_output = config.flag("tie_word_embeddings", true);
  return shape;
}

std::size_t parameters(const ModelShape& shape) {
  const std::size_t hidden = shape.hidden,
                    heads = (shape.heads + shape.key_value_heads) * shape.head_size;
  const std::size_t layer = 2 * hidden * heads + 2 * hidden * shape.intermediate +
                            attention_bias_parameters(shape) +
                            (shape.attention_output_bias ? hidden : 0) +
                            (shape.mlp_bias ? shape.intermediate + hidden : 0);
  return table_parameters(shape) + shape.layers * layer + encoder_norm_parameters(shape);
}

std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const std::optional<ConfigFile>& config = source.config;
  DecoderDetails details;
  details.modules = {.prefix = "model.",
                     .words = "model.embed_tokens",
                     .last_norm = "model.norm",
                     .attention_norm = "input_layernorm",
                     .feed_forward_norm = "post_attention_layernorm"};
  details.activation = read_activation(config, "hidden_act", HiddenActivation::gelu_tanh);
  details.epsilon = read_epsilon(config, "norm_epsilon", 1e-5f);
  details.hidden_dropout = read_dropout(config, settings.dropout, "residual_dropout", 0);
  details.attention_dropout = read_dropout(config, settings.dropout, "attention_dropout", 0);
  details.embedding_dropout = read_dropout(config, settings.dropout, "embedding_dropout", 0);
  details.rotary = read_rotary(config, source.shape.head_size, source.shape.positions);
  return load_decoder(source, details, settings, std::move(device));
}

}  // namespace

const Family& starcoder2_family() {
  static const Family family = [] {
    Family starcoder = llama_kind("starcoder2", "Starcoder2");
    starcoder.keys = joined(
        {keys_of(ForeignKey::Meaning::read,
                 {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                  "num_attention_heads", "num_key_value_heads", "head_dim", "use_bias",
                  "max_position_embeddings", "pad_token_id", "norm_epsilon", "hidden_act"}),
         keys_of(ForeignKey::Meaning::read,
                 {"attention_dropout", "residual_dropout", "embedding_dropout", "rope_parameters",
                  "rope_scaling", "rope_theta", "partial_rotary_factor", "sliding_window"}),
         // Released files have them; transformers reads none.
         keys_of(ForeignKey::Meaning::changes_nothing,
                 {"mlp_type", "norm_type", "layer_norm_epsilon", "activation_function",
                  "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                  "scale_attn_weights"})});
    starcoder.modules.gate = nullptr;
    starcoder.modules.up = "mlp.c_fc";
    starcoder.modules.down = "mlp.c_proj";
    starcoder.adapter_places = {MatrixType::up, MatrixType::down};
    starcoder.presets = presets;
    starcoder.read = read;
    starcoder.norm_parameters = encoder_norm_parameters;
    starcoder.norms_shift = true;
    starcoder.parameters = parameters;
    starcoder.load = load;
    return starcoder;
  }();
  return family;
}

}  // namespace rankfold
