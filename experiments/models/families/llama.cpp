#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/families/family_parts.h"
#include "experiments/models/families/llama_parts.h"

// Llama 1 to 3, and models that were made in its form (SmolLM2).

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {
      llama_preset("llama-7b", 32, 4096, 11008, {32, 32, 128}, 32000, 2048),
      llama_preset("llama-2-7b", 32, 4096, 11008, {32, 32, 128}, 32000, 4096),
      llama_preset("llama-2-13b", 40, 5120, 13824, {40, 40, 128}, 32000, 4096),
      llama_preset("llama-2-70b", 80, 8192, 28672, {64, 8, 128}, 32000, 4096),
      llama_preset("llama-3-8b", 32, 4096, 14336, {32, 8, 128}, 128256, 8192),
      llama_preset("llama-3.2-1b", 16, 2048, 8192, {32, 8, 64}, 128256, 131072),
      llama_preset("llama-3.2-3b", 28, 3072, 8192, {24, 8, 128}, 128256, 131072),
      llama_preset("smollm2-135m", 30, 576, 1536, {9, 3, 64}, 49152, 8192)};
  for (ModelShape& shape : shapes)
    shape.tied_output = shape.name.starts_with("llama-3.2") || shape.name.starts_with("smollm2");
  return shapes;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_llama_sizes(config);
  // Whatever head_dim is.
  require_divisor(config, "num_attention_heads", shape.heads, "hidden_size", shape.hidden);
  shape.attention_bias = shape.attention_output_bias = config.flag("attention_bias", false);
  shape.mlp_bias = config.flag("mlp_bias", false);
  return shape;
}

}  // namespace

const Family& llama_family() {
  static const Family family = [] {
    Family llama = llama_kind("llama", "Llama");
    llama.keys = joined({llama_keys(),
                         keys_of(ForeignKey::Meaning::read, {"attention_bias", "mlp_bias"}),
                         // How a product is split, and what the converted files of others say.
                         keys_of(ForeignKey::Meaning::changes_nothing,
                                 {"pretraining_tp", "max_sequence_length", "is_llama_config"}),
                         {{"rope_interleaved", ForeignKey::Meaning::off_only}}});
    llama.presets = presets;
    llama.read = read;
    return llama;
  }();
  return family;
}

}  // namespace rankfold
