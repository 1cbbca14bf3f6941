#pragma once

#include "core/adapter/adapter.h"

namespace rankfold {

/// Y = X W^T + b with a frozen layer, overwritten; zeros and the bias alone where there is no
/// weight.
template <class T>
void frozen_forward(const Device& device, const FrozenLinear<T>& frozen, MatrixView<const T> x,
                    MatrixView<T> y, Bias bias);

/// dX (+)= dY W; without a weight nothing is added.
template <class T>
void frozen_backward(const Device& device, const FrozenLinear<T>& frozen, MatrixView<const T> dy,
                     MatrixView<T> dx, Into into);

}  // namespace rankfold
