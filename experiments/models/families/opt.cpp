#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/decoder_reader.h"
#include "experiments/models/families/family_parts.h"

// OPT: pre-norm decoder with learned positions, of which the first two rows serve nobody. The one
// of 350 million, post-norm and with projected embeddings, is refused.

namespace rankfold {
namespace {

constexpr std::size_t unused_positions = 2;

std::vector<ModelShape> presets() {
  ModelShape shape = encoder_preset("opt-1.3b", 24, 2048, 50272);
  shape.positions = 2048;
  shape.position_rows = shape.positions + unused_positions;
  shape.tied_output = true;
  return {shape};
}

void expect_flag(const ConfigFile& config, const char* key, bool expected) {
  if (config.flag(key, expected) != expected)
    throw Error("{}: {} is {}, expected {}", printable(config.path().string()), key, !expected,
                expected);
}

ModelShape read(const ConfigFile& config) {
  expect_flag(config, "do_layer_norm_before", true);
  expect_flag(config, "_remove_final_layer_norm", false);
  expect_flag(config, "enable_bias", true);
  expect_flag(config, "layer_norm_elementwise_affine", true);
  ModelShape shape = read_text_sizes(config, {.intermediate = "ffn_dim"});
  require_size(config, "word_embed_proj_dim", shape.hidden);
  shape.position_rows = shape.positions + unused_positions;
  shape.tied_output = config.flag("tie_word_embeddings", true);
  return shape;
}

std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const std::optional<ConfigFile>& config = source.config;
  DecoderDetails details;
  details.modules = {.prefix = "model.",
                     .words = "model.decoder.embed_tokens",
                     .positions = "model.decoder.embed_positions",
                     .last_norm = "model.decoder.final_layer_norm",
                     .attention_norm = "self_attn_layer_norm",
                     .feed_forward_norm = "final_layer_norm"};
  details.activation = read_activation(config, "activation_function", HiddenActivation::relu);
  details.epsilon = 1e-5f;
  details.hidden_dropout = read_dropout(config, settings.dropout, "dropout", 0.1);
  details.attention_dropout = read_dropout(config, settings.dropout, "attention_dropout", 0);
  details.unused_positions = unused_positions;
  details.padding = 1;
  return load_decoder(source, details, settings, std::move(device));
}

}  // namespace

const Family& opt_family() {
  static const Family family = {
      .name = "opt",
      .architecture = "OPT",
      .keys =
          joined({keys_of(ForeignKey::Meaning::read,
                          {"vocab_size", "hidden_size", "ffn_dim", "num_hidden_layers",
                           "num_attention_heads", "max_position_embeddings", "word_embed_proj_dim",
                           "do_layer_norm_before", "_remove_final_layer_norm", "enable_bias",
                           "layer_norm_elementwise_affine", "activation_function", "dropout",
                           "attention_dropout", "pad_token_id"}),
                  // transformers applies none behind the activation.
                  keys_of(ForeignKey::Meaning::changes_nothing, {"activation_dropout", "init_std"}),
                  {{"layerdrop", ForeignKey::Meaning::off_only, {"0", "0.0"}}}}),
      .modules = {.layer = "model.decoder.layers.{}.",
                  .q = "self_attn.q_proj",
                  .k = "self_attn.k_proj",
                  .v = "self_attn.v_proj",
                  .o = "self_attn.out_proj",
                  .up = "fc1",
                  .down = "fc2"},
      .output_bias = false,
      .dense_before_output = false,
      .head = "score",
      .output_layer = "score",
      .tells_tokens = true,
      .presets = presets,
      .read = read,
      .norm_parameters = encoder_norm_parameters,
      .parameters = encoder_parameters,
      .load = load};
  return family;
}

}  // namespace rankfold
