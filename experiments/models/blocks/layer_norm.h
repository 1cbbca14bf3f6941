#pragma once

#include <cstddef>
#include <string>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/dropout.h"

namespace rankfold {

/// Layer normalisation over the columns of a matrix, or an RMS norm; the gradients are null where
/// it is frozen.
struct LayerNorm {
  const float* weight = nullptr;
  const float* shift = nullptr;  ///< the tensor named bias; an RMS norm has none
  float* weight_gradient = nullptr;
  float* shift_gradient = nullptr;
  float epsilon = 0;
  std::string name = {};  ///< of its module, e.g. "bert.embeddings.LayerNorm"
  // Of norms before a layer's parts, see NormWeights.
  bool centred = true;
  std::size_t groups = 1;
  std::size_t width = 0;  ///< of the weight

  NormWeights weights() const { return {weight, shift, epsilon, centred, groups}; }
};

/// Memory of the arena for what a norm keeps for its backward.
NormTrace take_norm_trace(Arena& arena, std::size_t rows, std::size_t columns);

/// out = LayerNorm(residual + dropout(z + bias)), row by row; bias may be null (0), residual
/// without memory. Fills the trace, whose `normalised` may be z. out must not be an input.
void add_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                       const Dropout& dropout, MatrixView<const float> residual,
                       const NormTrace& trace, MatrixView<float> out, const Device& device);

/// The `out` of add_and_normalise from what it kept.
void form_again(const LayerNorm& norm, const NormTrace& trace, MatrixView<float> out,
                const Device& device);

/// From dLoss/dout: d_residual (may be d_out) and dz, and adds to the gradients of a trained norm.
void add_and_normalise_backward(const LayerNorm& norm, const Dropout& dropout,
                                MatrixView<const float> d_out, const NormTrace& trace,
                                MatrixView<float> d_residual, MatrixView<float> dz,
                                const Device& device);

/// sum = residual + dropout(z + bias), out = norm(sum); bias may be null (0), sum may be residual.
void add_residual_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                                const Dropout& dropout, MatrixView<const float> residual,
                                MatrixView<float> sum, MatrixView<float> out, const Device& device);
/// The sum alone.
void add_residual(MatrixView<const float> z, const float* bias, const Dropout& dropout,
                  MatrixView<const float> residual, MatrixView<float> sum, const Device& device);

/// out = norm(x); out may be x.
void normalise(const LayerNorm& norm, MatrixView<const float> x, MatrixView<float> out,
               const Device& device);
/// From dLoss/dout of normalise: adds to the gradients of a trained norm, and forms dLoss/dx, added
/// to dx where `add`, skipped where it has no memory. dx may be d_out.
void normalise_backward(const LayerNorm& norm, MatrixView<const float> d_out,
                        MatrixView<const float> x, bool add, MatrixView<float> dx,
                        const Device& device);

/// The gradients of a trained norm alone; nothing where it is frozen.
void add_norm_gradients(const LayerNorm& norm, MatrixView<const float> d_out,
                        MatrixView<const float> normalised, const Device& device);

}  // namespace rankfold
