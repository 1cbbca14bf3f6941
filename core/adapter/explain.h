#pragma once

#include <string>
#include <vector>

#include "core/adapter/adapter.h"

namespace rankfold {

/// The sites of a stack by the input that they read: q, k and v of a layer, gate and up, every
/// other site alone.
std::vector<std::vector<std::size_t>> sites_by_input(const Stack& stack);

/// How a training step with `tokens` rows computes the sites of the adapter, and what the other
/// choice would cost: one line for all layers that do alike.
std::vector<std::string> explain_plans(const Adapter<float>& adapter, std::size_t tokens);

}  // namespace rankfold
