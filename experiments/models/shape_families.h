#pragma once

#include <cstddef>

#include "experiments/models/shapes.h"

namespace rankfold {

/// Weights of the network below the head, from the architecture of the shape's family.
std::size_t backbone_parameters(const ModelShape& shape);

}  // namespace rankfold
