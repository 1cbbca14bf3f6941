#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/models/families/family.h"

// What the families of Llama's kind share: pre-norm decoders with RMS norms, rotary positions, a
// gated feed-forward part and shared key and value heads.

namespace rankfold {

/// Heads of a preset: of queries, of keys and values, and the size of each.
struct LlamaHeads {
  std::size_t queries, keys, size;
};
/// A preset without biases.
ModelShape llama_preset(std::string name, std::size_t layers, std::size_t hidden,
                        std::size_t intermediate, const LlamaHeads& heads, std::size_t vocabulary,
                        std::size_t positions);

/// The sizes without biases. `head_dim` is hidden / heads where the file does not tell and
/// `head_size` is 0.
ModelShape read_llama_sizes(const ConfigFile& config, std::size_t head_size = 0);
/// What each layer's attention sees: `window` where "layer_types" say so, or without them from
/// layer `first` on. Throws Error naming the file and a type that is not computed.
std::vector<std::size_t> read_windows(const ConfigFile& config, const ModelShape& shape,
                                      std::size_t window, std::size_t first);

/// "sliding_window": 0 where it is null, default_window where the file does not tell.
inline constexpr std::size_t default_window = 4096;
std::size_t read_sliding_window(const ConfigFile& config);
/// The same of Qwen's keys: a window that is used where "use_sliding_window" says so, without
/// "layer_types" from layer "max_window_layers" on.
std::vector<std::size_t> read_windows_in_use(const ConfigFile& config, const ModelShape& shape);
std::vector<ForeignKey> window_in_use_keys();

/// Keys of config.json that all of them read.
std::vector<ForeignKey> llama_keys();

/// A family with what all of them have: names of modules, counts, its heads, and `load`, which
/// reads everything from the shape and config.json. Keys, presets and `read` are still to be set.
Family llama_kind(std::string_view name, std::string_view architecture);

}  // namespace rankfold
