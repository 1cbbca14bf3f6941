#pragma once

#include <filesystem>

#include "core/fit/input_metric.h"
#include "core/network/stack.h"

namespace rankfold {

/// The inputs X[samples, in] of a stack's sites from a file: a .npy array (samples, in) for all
/// sites or (sites, samples, in) in the stack's order, or a .safetensors file with a matrix named
/// as the site for each, or one named `x` for those that have none. Throws Error naming file,
/// tensor and site where one is missing, has another shape or type, or is empty, zero or not
/// finite, and UsageError for another ending.
InputMetrics read_inputs(const std::filesystem::path& file, const Stack& stack,
                         double ridge = usual_ridge);

}  // namespace rankfold
