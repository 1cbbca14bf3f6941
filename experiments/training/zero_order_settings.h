#pragma once

#include <cstddef>

namespace rankfold {

/// How a loss is probed where no gradient is backpropagated; see ZeroOrder.
struct ZeroOrderSettings {
  double epsilon = 1e-3;    ///< how far the parameters are moved, in deviations of z
  std::size_t samples = 1;  ///< directions a step
};

}  // namespace rankfold
