#pragma once

#include <array>
#include <string_view>

namespace rankfold {

/// The parts of a model that may train beside its adapter, as `--train` names them: the norms, the
/// whole head, LoRETTA's head as a tensor train, the output layer alone.
inline constexpr std::array<std::string_view, 4> model_parts = {"norms", "head", "tt-head",
                                                                "output"};

}  // namespace rankfold
