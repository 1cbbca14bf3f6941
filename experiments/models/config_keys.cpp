#include "experiments/models/config_keys.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/device/row_kernels.h"

namespace rankfold {
namespace {

constexpr auto read = ForeignKey::Meaning::read;
constexpr auto changes_nothing = ForeignKey::Meaning::changes_nothing;
constexpr auto off_only = ForeignKey::Meaning::off_only;

/// Of every family: what transformers' base class saves.
std::vector<ForeignKey> common_keys() {
  return joined({
      keys_of(read, {"model_type", "problem_type"}),
      // Where the file comes from, names of labels and tokens, what a call returns, storage.
      keys_of(changes_nothing, {"_name_or_path",
                                "name_or_path",
                                "_commit_hash",
                                "transformers_version",
                                "architectures",
                                "dtype",
                                "torch_dtype",
                                "id2label",
                                "label2id",
                                "num_labels",
                                "finetuning_task",
                                "task_specific_params",
                                "tokenizer_class",
                                "prefix",
                                "bos_token_id",
                                "eos_token_id",
                                "pad_token_id",
                                "sep_token_id",
                                "cls_token_id",
                                "mask_token_id",
                                "unk_token_id",
                                "decoder_start_token_id",
                                "output_attentions",
                                "output_hidden_states",
                                "output_past",
                                "return_dict",
                                "use_return_dict",
                                "torchscript",
                                "use_cache",
                                "gradient_checkpointing",
                                "chunk_size_feed_forward",
                                "tie_word_embeddings",
                                "tf_legacy_loss",
                                "xla_device",
                                "_attn_implementation",
                                "attn_implementation",
                                "_attn_implementation_autoset",
                                "_attn_implementation_internal",
                                "_flash_attn_2_enabled",
                                "sentence_transformers",
                                "transformers.js_config",
                                "custom_pipelines"}),
      // Starts of weights that the checkpoint has; new heads start at N(0, 0.02) here.
      keys_of(changes_nothing, {"initializer_range"}),
      // Settings of text generation, which older versions kept here.
      keys_of(changes_nothing, {"max_length",
                                "min_length",
                                "max_new_tokens",
                                "min_new_tokens",
                                "do_sample",
                                "early_stopping",
                                "num_beams",
                                "num_beam_groups",
                                "diversity_penalty",
                                "temperature",
                                "top_k",
                                "top_p",
                                "min_p",
                                "typical_p",
                                "repetition_penalty",
                                "length_penalty",
                                "no_repeat_ngram_size",
                                "encoder_no_repeat_ngram_size",
                                "bad_words_ids",
                                "num_return_sequences",
                                "output_scores",
                                "return_dict_in_generate",
                                "forced_bos_token_id",
                                "forced_eos_token_id",
                                "remove_invalid_values",
                                "exponential_decay_length_penalty",
                                "suppress_tokens",
                                "begin_suppress_tokens",
                                "epsilon_cutoff",
                                "eta_cutoff",
                                "renormalize_logits",
                                "penalty_alpha"}),
      // Another network: causal or crossed attention, heads taken out, layers of their own, code.
      keys_of(
          off_only,
          {"is_decoder", "is_encoder_decoder", "add_cross_attention", "cross_attention_hidden_size",
           "cross_attention_freq", "tie_encoder_decoder", "pruned_heads", "per_layer_config",
           "quantization_config", "compression_config", "adapters", "use_bfloat16", "auto_map"}),
  });
}

enum class Kind { size, integer, epsilon, probability, activation, flag, text, object };

struct ValueRule {
  std::string_view key;
  Kind kind;
  bool nullable = false;
};

/// What a key may hold, in every family that has it.
constexpr std::array value_rules = {
    ValueRule{"hidden_size", Kind::size},
    ValueRule{"intermediate_size", Kind::size},
    ValueRule{"num_hidden_layers", Kind::size},
    ValueRule{"num_attention_heads", Kind::size},
    ValueRule{"num_key_value_heads", Kind::size, true},
    ValueRule{"head_dim", Kind::size, true},
    ValueRule{"vocab_size", Kind::size},
    ValueRule{"max_position_embeddings", Kind::size},
    ValueRule{"embedding_size", Kind::size},
    ValueRule{"num_hidden_groups", Kind::size},
    ValueRule{"inner_group_num", Kind::size},
    ValueRule{"attention_head_size", Kind::size},
    ValueRule{"conv_groups", Kind::size},
    ValueRule{"image_size", Kind::size},
    ValueRule{"patch_size", Kind::size},
    ValueRule{"num_channels", Kind::size},
    ValueRule{"n_embd", Kind::size},
    ValueRule{"n_layer", Kind::size},
    ValueRule{"n_head", Kind::size},
    ValueRule{"n_positions", Kind::size},
    ValueRule{"n_inner", Kind::size, true},
    ValueRule{"ffn_dim", Kind::size},
    ValueRule{"word_embed_proj_dim", Kind::size},
    ValueRule{"type_vocab_size", Kind::integer},
    ValueRule{"max_relative_positions", Kind::integer},
    ValueRule{"position_buckets", Kind::integer},
    ValueRule{"conv_kernel_size", Kind::integer},
    ValueRule{"norm_rel_ebd", Kind::text},
    ValueRule{"layer_norm_eps", Kind::epsilon},
    ValueRule{"layer_norm_epsilon", Kind::epsilon},
    ValueRule{"rms_norm_eps", Kind::epsilon},
    ValueRule{"norm_epsilon", Kind::epsilon},
    ValueRule{"hidden_dropout_prob", Kind::probability},
    ValueRule{"attention_probs_dropout_prob", Kind::probability},
    ValueRule{"classifier_dropout", Kind::probability, true},
    ValueRule{"classifier_dropout_prob", Kind::probability},
    ValueRule{"cls_dropout", Kind::probability, true},
    ValueRule{"pooler_dropout", Kind::probability},
    ValueRule{"dropout", Kind::probability},
    ValueRule{"attention_dropout", Kind::probability},
    ValueRule{"resid_pdrop", Kind::probability},
    ValueRule{"embd_pdrop", Kind::probability},
    ValueRule{"attn_pdrop", Kind::probability},
    ValueRule{"residual_dropout", Kind::probability},
    ValueRule{"embedding_dropout", Kind::probability},
    ValueRule{"hidden_act", Kind::activation},
    ValueRule{"activation_function", Kind::activation},
    ValueRule{"pooler_hidden_act", Kind::activation},
    ValueRule{"pooler_act", Kind::activation},
    ValueRule{"conv_act", Kind::activation},
    ValueRule{"relative_attention", Kind::flag},
    ValueRule{"position_biased_input", Kind::flag},
    ValueRule{"share_att_key", Kind::flag},
    ValueRule{"talking_head", Kind::flag},
    ValueRule{"qkv_bias", Kind::flag},
    ValueRule{"attention_bias", Kind::flag},
    ValueRule{"mlp_bias", Kind::flag},
    ValueRule{"use_bias", Kind::flag},
    ValueRule{"rope_parameters", Kind::object, true},
    ValueRule{"rope_scaling", Kind::object, true},
    ValueRule{"sliding_window", Kind::size, true},
    ValueRule{"use_sliding_window", Kind::flag},
    ValueRule{"max_window_layers", Kind::integer},
};

/// transformers' activations without weights of their own (prelu and xielu have some). A model with
/// any of them can be counted.
constexpr std::array<std::string_view, 22> activations = {"gelu",
                                                          "gelu_10",
                                                          "gelu_accurate",
                                                          "gelu_fast",
                                                          "gelu_new",
                                                          "gelu_python",
                                                          "gelu_pytorch_tanh",
                                                          "gelu_python_tanh",
                                                          "hardswish",
                                                          "laplace",
                                                          "leaky_relu",
                                                          "linear",
                                                          "mish",
                                                          "quick_gelu",
                                                          "relu",
                                                          "relu2",
                                                          "relu6",
                                                          "sigmoid",
                                                          "silu",
                                                          "sqrtsoftplus",
                                                          "swish",
                                                          "tanh"};

void check_value(const ConfigFile& config, const ValueRule& rule) {
  const auto found = config.values().find(std::string(rule.key));
  if (found == config.values().end() || (found->is_null() && rule.nullable)) return;
  switch (rule.kind) {
    case Kind::size:
      config.count(rule.key);
      return;
    case Kind::integer:
      config.integer(rule.key, -1, std::numeric_limits<std::int32_t>::max());
      return;
    case Kind::text:
      config.text(rule.key);
      return;
    case Kind::epsilon:
      config.number(rule.key, 0.0, 1.0);
      return;
    case Kind::probability:
      config.number(rule.key, 0.0, 0.999);
      return;
    case Kind::flag:
      if (!found->is_boolean())
        throw Error("{}: {} is {}, expected true or false", printable(config.path().string()),
                    rule.key, printable(found->dump(), 80));
      return;
    case Kind::object:
      if (!found->is_object())
        throw Error("{}: {} is {}, expected an object or null", printable(config.path().string()),
                    rule.key, printable(found->dump(), 80));
      return;
    case Kind::activation:
      const std::string name = config.text(rule.key);
      if (std::ranges::find(activations, name) == activations.end())
        throw Error("{}: {} is '{}', expected {}{}", printable(config.path().string()), rule.key,
                    printable(name, 80), rule.key == "pooler_hidden_act" ? "tanh, " : "",
                    activation_names);
      return;
  }
}

/// The row of the embedding that stands for padding; some Llamas write -1 for none.
void check_padding(const ConfigFile& config) {
  if (config.has("pad_token_id") && config.has("vocab_size"))
    config.integer("pad_token_id", -1, static_cast<std::int64_t>(config.count("vocab_size")) - 1);
}

void check_problem(const ConfigFile& config) {
  const std::string problem = config.text("problem_type", "regression");
  if (problem != "regression" && problem != "single_label_classification" &&
      problem != "multi_label_classification")
    throw Error(
        "{}: problem_type is '{}', expected regression, single_label_classification, "
        "multi_label_classification or null",
        printable(config.path().string()), printable(problem, 80));
}

}  // namespace

void expect_known_config(const ConfigFile& config, std::span<const ForeignKey> family) {
  static const std::vector<ForeignKey> common = common_keys();
  expect_known_keys(config.values(), config.path(), "", {family, common});
  for (const ValueRule& rule : value_rules) check_value(config, rule);
  check_padding(config);
  check_problem(config);
}

}  // namespace rankfold
