#include "experiments/models/families/family_parts.h"

// GPT-2: pre-norm decoder with learned positions; its fused c_attn counts as q, k and v.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {encoder_preset("gpt2-medium", 24, 1024, 50257),
                                    encoder_preset("gpt2-large", 36, 1280, 50257)};
  for (ModelShape& shape : shapes) shape.positions = shape.position_rows = 1024;
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
  return shape;
}

}  // namespace

const Family& gpt2_family() {
  static const Family family = {
      .name = "gpt2",
      // No host computes it yet: "changes nothing" is said of sizes and counts.
      .keys = joined({keys_of(ForeignKey::Meaning::read,
                              {"vocab_size", "n_positions", "n_embd", "n_layer", "n_head",
                               "n_inner", "activation_function", "layer_norm_epsilon",
                               "resid_pdrop", "embd_pdrop", "attn_pdrop"}),
                      keys_of(ForeignKey::Meaning::changes_nothing,
                              {"n_ctx", "n_special", "predict_special_tokens", "summary_type",
                               "summary_use_proj", "summary_activation", "summary_proj_to_labels",
                               "summary_first_dropout", "scale_attn_weights",
                               "scale_attn_by_inverse_layer_idx", "reorder_and_upcast_attn",
                               "classifier_dropout", "hidden_dropout"})}),
      .modules = {.layer = "transformer.h.{}.",
                  .q = "attn.c_attn.q",
                  .k = "attn.c_attn.k",
                  .v = "attn.c_attn.v",
                  .o = "attn.c_proj",
                  .up = "mlp.c_fc",
                  .down = "mlp.c_proj"},
      .output_bias = false,
      .dense_before_output = false,
      .head = "score",
      .output_layer = "score",
      .presets = presets,
      .read = read,
      .norm_parameters = encoder_norm_parameters,
      .parameters = encoder_parameters};
  return family;
}

}  // namespace rankfold
