#pragma once

#include <cstddef>
#include <vector>

#include "core/backend.h"
#include "experiments/models/dropout.h"

namespace rankfold {

/// Layer normalisation over the columns of a matrix; the gradients are null where it is frozen.
struct LayerNorm {
  const float* weight = nullptr;
  const float* shift = nullptr;  ///< the tensor named bias
  float* weight_gradient = nullptr;
  float* shift_gradient = nullptr;
  float epsilon = 0;
};

/// out = LayerNorm(residual + dropout(z + bias)), row by row; bias may be null (0). For a backward,
/// `normalised` (rows x columns, may be z itself) and `deviation_inverse` (rows) receive what
/// layer_norm_backward reads; both null otherwise. out must not be an input.
void add_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                       const Dropout& dropout, MatrixView<const float> residual, float* normalised,
                       float* deviation_inverse, MatrixView<float> out);

/// From dLoss/dout: d_residual (may be d_out) and dz, and adds to the gradients of a trained norm.
void add_and_normalise_backward(const LayerNorm& norm, const Dropout& dropout,
                                MatrixView<const float> d_out, const float* normalised,
                                const float* deviation_inverse, MatrixView<float> d_residual,
                                MatrixView<float> dz);

/// The gradients of a trained norm alone; nothing where it is frozen.
void add_norm_gradients(const LayerNorm& norm, MatrixView<const float> d_out,
                        const float* normalised);

}  // namespace rankfold
