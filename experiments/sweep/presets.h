#pragma once

#include <span>
#include <string_view>

namespace rankfold {

/// A paper's set-up: experiments/presets/NAME.sweep, which the program holds.
struct SweepPreset {
  std::string_view name;
  std::string_view text;  ///< a sweep file, see read_sweep_text
};

/// All of them, by name.
std::span<const SweepPreset> sweep_presets();

}  // namespace rankfold
