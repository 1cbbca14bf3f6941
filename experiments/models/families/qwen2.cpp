#include "experiments/models/families/family_parts.h"
#include "experiments/models/families/llama_parts.h"

// Qwen 2 and 2.5: Llama with biases of q, k and v, and a window in upper layers where it is used.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {
      llama_preset("qwen2.5-0.5b", 24, 896, 4864, {14, 2, 64}, 151936, 32768)};
  shapes.front().attention_bias = true;
  shapes.front().tied_output = true;
  return shapes;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_llama_sizes(config);
  shape.attention_bias = true;
  shape.windows = read_windows_in_use(config, shape);
  return shape;
}

}  // namespace

const Family& qwen2_family() {
  static const Family family = [] {
    Family qwen = llama_kind("qwen2", "Qwen2");
    qwen.keys = joined(
        {llama_keys(), window_in_use_keys(), {{"use_mrope", ForeignKey::Meaning::off_only}}});
    qwen.presets = presets;
    qwen.read = read;
    return qwen;
  }();
  return family;
}

}  // namespace rankfold
