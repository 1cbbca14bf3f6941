#include "experiments/models/families/family_parts.h"
#include "experiments/models/families/llama_parts.h"

// Mistral: Llama with a window that attention sees.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {
      llama_preset("mistral-7b", 32, 4096, 14336, {32, 8, 128}, 32000, 32768)};
  shapes.front().windows.assign(32, default_window);
  return shapes;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_llama_sizes(config);
  shape.windows = read_windows(config, shape, read_sliding_window(config), 0);
  return shape;
}

}  // namespace

const Family& mistral_family() {
  static const Family family = [] {
    Family mistral = llama_kind("mistral", "Mistral");
    mistral.keys = joined(
        {llama_keys(), keys_of(ForeignKey::Meaning::read, {"sliding_window", "layer_types"})});
    mistral.presets = presets;
    mistral.read = read;
    return mistral;
  }();
  return family;
}

}  // namespace rankfold
