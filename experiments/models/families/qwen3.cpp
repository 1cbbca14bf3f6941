#include "experiments/models/families/family_parts.h"
#include "experiments/models/families/llama_parts.h"

// Qwen 3: Llama with norms of each head's queries and keys, heads of a size of their own, and Qwen
// 2's windows.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {
      llama_preset("qwen3-0.6b", 28, 1024, 3072, {16, 8, 128}, 151936, 40960)};
  shapes.front().head_norms = true;
  shapes.front().tied_output = true;
  return shapes;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_llama_sizes(config, 128);
  shape.attention_bias = shape.attention_output_bias = config.flag("attention_bias", false);
  shape.head_norms = true;
  shape.windows = read_windows_in_use(config, shape);
  return shape;
}

}  // namespace

const Family& qwen3_family() {
  static const Family family = [] {
    Family qwen = llama_kind("qwen3", "Qwen3");
    qwen.keys = joined({llama_keys(), window_in_use_keys(),
                        keys_of(ForeignKey::Meaning::read, {"attention_bias"})});
    qwen.presets = presets;
    qwen.read = read;
    return qwen;
  }();
  return family;
}

}  // namespace rankfold
