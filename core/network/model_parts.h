#pragma once

#include <array>
#include <string_view>

namespace rankfold {

/// A part of a model that may train beside its adapter, as `--train` names it.
struct ModelPart {
  std::string_view name;
  bool of_head = false;  ///< where nothing but next tokens is told there is none
};

/// The norms, their shifts alone, the whole head, LoRETTA's head as a tensor train, the output
/// layer alone.
inline constexpr std::array<ModelPart, 5> model_parts = {
    {{"norms"}, {"norm-shifts"}, {"head", true}, {"tt-head", true}, {"output", true}}};

}  // namespace rankfold
