#pragma once

#include <array>
#include <string_view>

namespace rankfold {

/// The parts of a model that may train beside its adapter, as `--train` names them: the norms,
/// their shifts alone, the whole head, LoRETTA's head as a tensor train, the output layer alone.
inline constexpr std::array<std::string_view, 5> model_parts = {"norms", "norm-shifts", "head",
                                                                "tt-head", "output"};

}  // namespace rankfold
