#include "experiments/models/families/llama_parts.h"

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/decoder_reader.h"
#include "experiments/models/families/family_parts.h"
#include "experiments/models/rotary_config.h"

namespace rankfold {
namespace {

const DecoderModules llama_places = {.prefix = "model.",
                                     .words = "model.embed_tokens",
                                     .last_norm = "model.norm",
                                     .attention_norm = "input_layernorm",
                                     .feed_forward_norm = "post_attention_layernorm",
                                     .query_norm = "self_attn.q_norm",
                                     .key_norm = "self_attn.k_norm"};

std::size_t llama_norms(const ModelShape& shape) {
  return (2 * shape.layers + 1) * shape.hidden +
         (shape.head_norms ? 2 * shape.layers * shape.head_size : 0);
}

std::size_t llama_parameters(const ModelShape& shape) {
  const std::size_t hidden = shape.hidden, attention = shape.heads * shape.head_size,
                    key_value = shape.key_value_heads * shape.head_size;
  const std::size_t layer = 2 * hidden * attention + 2 * hidden * key_value +
                            3 * hidden * shape.intermediate + attention_bias_parameters(shape) +
                            (shape.attention_output_bias ? hidden : 0) +
                            (shape.mlp_bias ? 2 * shape.intermediate + hidden : 0);
  return table_parameters(shape) + shape.layers * layer + llama_norms(shape);
}

std::unique_ptr<Host> load_llama(const HostSource& source, const HostSettings& settings,
                                 std::shared_ptr<const Device> device) {
  const ModelShape& shape = source.shape;
  const std::optional<ConfigFile>& config = source.config;
  DecoderDetails details;
  details.modules = llama_places;
  details.centred = false;
  details.epsilon = read_epsilon(config, "rms_norm_eps", 1e-6f);
  details.activation = read_activation(config, "hidden_act", HiddenActivation::silu);
  details.attention_dropout = read_dropout(config, settings.dropout, "attention_dropout", 0);
  details.rotary = read_rotary(config, shape.head_size, shape.positions);
  return load_decoder(source, details, settings, std::move(device));
}

}  // namespace

ModelShape llama_preset(std::string name, std::size_t layers, std::size_t hidden,
                        std::size_t intermediate, const LlamaHeads& heads, std::size_t vocabulary,
                        std::size_t positions) {
  ModelShape shape = encoder_preset(std::move(name), layers, hidden, vocabulary);
  shape.intermediate = intermediate;
  shape.head_size = heads.size;
  shape.heads = heads.queries;
  shape.key_value_heads = heads.keys;
  shape.positions = positions;
  shape.position_rows = 0;
  shape.attention_bias = shape.attention_output_bias = shape.mlp_bias = false;
  return shape;
}

ModelShape read_llama_sizes(const ConfigFile& config, std::size_t head_size) {
  ModelShape shape =
      read_text_sizes(config, {.head_size = "head_dim", .usual_head_size = head_size});
  shape.key_value_heads = read_size(config, "num_key_value_heads", largest_size, shape.heads);
  if (shape.head_size % 2 != 0)
    throw Error("{}: head_dim is {}, expected an even number: rotary positions turn pairs",
                printable(config.path().string()), shape.head_size);
  require_divisor(config, "num_key_value_heads", shape.key_value_heads, "num_attention_heads",
                  shape.heads);
  shape.attention_bias = shape.attention_output_bias = shape.mlp_bias = false;
  shape.tied_output = config.flag("tie_word_embeddings", false);
  return shape;
}

std::vector<std::size_t> read_windows(const ConfigFile& config, const ModelShape& shape,
                                      std::size_t window, std::size_t first) {
  std::vector<std::size_t> windows(shape.layers);
  if (!config.has("layer_types")) {
    for (std::size_t i = first; i < windows.size(); ++i) windows[i] = window;
    return windows;
  }
  const std::vector<std::string> types = config.texts("layer_types");
  const std::string file = printable(config.path().string());
  if (types.size() != shape.layers)
    throw Error("{}: layer_types has {} names, expected {}", file, types.size(), shape.layers);
  for (std::size_t i = 0; i < windows.size(); ++i) {
    if (types[i] == "full_attention") continue;
    if (types[i] != "sliding_attention")
      throw Error("{}: layer_types has '{}', expected full_attention or sliding_attention", file,
                  printable(types[i], 80));
    if (window == 0)
      throw Error("{}: layer_types has sliding_attention, expected a sliding_window that is used",
                  file);
    windows[i] = window;
  }
  return windows;
}

std::size_t read_sliding_window(const ConfigFile& config) {
  const bool is_named = config.values().contains("sliding_window");
  return read_size(config, "sliding_window", largest_size, is_named ? 0 : default_window);
}

std::vector<std::size_t> read_windows_in_use(const ConfigFile& config, const ModelShape& shape) {
  constexpr std::size_t default_first = 28;
  const std::size_t window =
      config.flag("use_sliding_window", false) ? read_sliding_window(config) : 0;
  const std::int64_t first =
      config.integer("max_window_layers", 0, largest_size, std::int64_t{default_first});
  return read_windows(config, shape, window, static_cast<std::size_t>(first));
}

std::vector<ForeignKey> window_in_use_keys() {
  return keys_of(ForeignKey::Meaning::read,
                 {"use_sliding_window", "sliding_window", "max_window_layers", "layer_types"});
}

std::vector<ForeignKey> llama_keys() {
  return keys_of(ForeignKey::Meaning::read,
                 {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                  "num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act",
                  "max_position_embeddings", "pad_token_id", "rms_norm_eps", "attention_dropout",
                  "rope_parameters", "rope_scaling", "rope_theta", "partial_rotary_factor"});
}

Family llama_kind(std::string_view name, std::string_view architecture) {
  Family family;
  family.name = name;
  family.architecture = architecture;
  family.modules = {.layer = "model.layers.{}.",
                    .q = "self_attn.q_proj",
                    .k = "self_attn.k_proj",
                    .v = "self_attn.v_proj",
                    .o = "self_attn.o_proj",
                    .gate = "mlp.gate_proj",
                    .up = "mlp.up_proj",
                    .down = "mlp.down_proj"};
  family.adapter_places = {MatrixType::gate, MatrixType::up, MatrixType::down};
  family.output_bias = false;
  family.dense_before_output = false;
  family.head = "score";
  family.output_layer = "score";
  family.tells_tokens = true;
  family.norm_parameters = llama_norms;
  family.norms_shift = false;
  family.parameters = llama_parameters;
  family.load = load_llama;
  return family;
}

}  // namespace rankfold
