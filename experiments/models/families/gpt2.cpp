#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/decoder_reader.h"
#include "experiments/models/families/family_parts.h"

// GPT-2: pre-norm decoder with learned positions. Its weights are [in, out], and those of q, k and
// v are one, c_attn.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {encoder_preset("gpt2-medium", 24, 1024, 50257),
                                    encoder_preset("gpt2-large", 36, 1280, 50257),
                                    encoder_preset("gpt2", 12, 768, 50257)};
  for (ModelShape& shape : shapes) {
    shape.positions = shape.position_rows = 1024;
    shape.tied_output = true;
  }
  return shapes;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_text_sizes(config, {.layers = "n_layer",
                                              .hidden = "n_embd",
                                              .heads = "n_head",
                                              .intermediate = "n_inner",
                                              .positions = "n_positions",
                                              .intermediate_of_four = true});
  shape.position_rows = shape.positions;
  shape.tied_output = config.flag("tie_word_embeddings", true);
  return shape;
}

void expect_plain_scores(const ConfigFile& config) {
  const std::string file = printable(config.path().string());
  if (!config.flag("scale_attn_weights", true))
    throw Error("{}: scale_attn_weights is false, expected true", file);
  if (config.flag("scale_attn_by_inverse_layer_idx", false))
    throw Error("{}: scale_attn_by_inverse_layer_idx is true, expected false", file);
}

std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const std::optional<ConfigFile>& config = source.config;
  DecoderDetails details;
  details.modules = {.prefix = "transformer.",
                     .words = "transformer.wte",
                     .positions = "transformer.wpe",
                     .last_norm = "transformer.ln_f",
                     .attention_norm = "ln_1",
                     .feed_forward_norm = "ln_2"};
  if (config) expect_plain_scores(*config);
  details.activation = read_activation(config, "activation_function", HiddenActivation::gelu_tanh);
  details.epsilon = read_epsilon(config, "layer_norm_epsilon", 1e-5f);
  details.padding_trains = true;
  details.hidden_dropout = read_dropout(config, settings.dropout, "resid_pdrop", 0.1);
  details.attention_dropout = read_dropout(config, settings.dropout, "attn_pdrop", 0.1);
  details.embedding_dropout = read_dropout(config, settings.dropout, "embd_pdrop", 0.1);
  return load_decoder(source, details, settings, std::move(device));
}

}  // namespace

const Family& gpt2_family() {
  static const Family family = {
      .name = "gpt2",
      .architecture = "GPT2",
      .keys = joined({keys_of(ForeignKey::Meaning::read,
                              {"vocab_size", "n_positions", "n_embd", "n_layer", "n_head",
                               "n_inner", "activation_function", "layer_norm_epsilon",
                               "resid_pdrop", "embd_pdrop", "attn_pdrop", "scale_attn_weights",
                               "scale_attn_by_inverse_layer_idx", "pad_token_id"}),
                      // Heads that are not here, and in which precision scores are formed.
                      keys_of(ForeignKey::Meaning::changes_nothing,
                              {"n_ctx", "n_special", "predict_special_tokens", "summary_type",
                               "summary_use_proj", "summary_activation", "summary_proj_to_labels",
                               "summary_first_dropout", "reorder_and_upcast_attn",
                               "classifier_dropout", "hidden_dropout"})}),
      .modules = {.layer = "transformer.h.{}.",
                  .o = "attn.c_proj",
                  .up = "mlp.c_fc",
                  .down = "mlp.c_proj",
                  .in_proj = "attn.c_attn",
                  .transposed = true},
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
