#pragma once

#include <cstddef>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/dropout.h"

namespace rankfold {

/// Layer normalisation over the columns of a matrix; the gradients are null where it is frozen.
struct LayerNorm {
  const float* weight = nullptr;
  const float* shift = nullptr;  ///< the tensor named bias
  float* weight_gradient = nullptr;
  float* shift_gradient = nullptr;
  float epsilon = 0;
};

/// What a layer norm keeps for its backward, in somebody else's memory; without memory where no
/// backward follows.
struct NormTrace {
  MatrixView<float> normalised;        ///< (s - mean(s)) / deviation(s) of each row s
  float* deviation_inverse = nullptr;  ///< of each row

  static NormTrace take(Arena& arena, std::size_t rows, std::size_t columns) {
    return {arena.take_matrix(rows, columns), arena.take(rows)};
  }
  /// That of `count` rows from `first` on.
  NormTrace range(std::size_t first, std::size_t count) const;
};

// Scratch of these functions comes from the arena and is given back.

/// out = LayerNorm(residual + dropout(z + bias)), row by row; bias may be null (0), residual
/// without memory. Fills the trace, whose `normalised` may be z. out must not be an input.
void add_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                       const Dropout& dropout, MatrixView<const float> residual,
                       const NormTrace& trace, MatrixView<float> out, Arena& arena);

/// The `out` of add_and_normalise from what it kept.
void form_again(const LayerNorm& norm, const NormTrace& trace, MatrixView<float> out,
                const Device& device);

/// From dLoss/dout: d_residual (may be d_out) and dz, and adds to the gradients of a trained norm.
void add_and_normalise_backward(const LayerNorm& norm, const Dropout& dropout,
                                MatrixView<const float> d_out, const NormTrace& trace,
                                MatrixView<float> d_residual, MatrixView<float> dz, Arena& arena);

/// The gradients of a trained norm alone; nothing where it is frozen.
void add_norm_gradients(const LayerNorm& norm, MatrixView<const float> d_out,
                        MatrixView<const float> normalised);

}  // namespace rankfold
