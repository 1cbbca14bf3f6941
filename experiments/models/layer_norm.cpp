#include "experiments/models/layer_norm.h"

#include <algorithm>

#include "experiments/models/row_kernels.h"

namespace rankfold {

void add_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                       const Dropout& dropout, MatrixView<const float> residual, float* normalised,
                       float* deviation_inverse, MatrixView<float> out) {
  const std::size_t width = z.columns;
  const std::vector<float> zeros(bias ? 0 : width);
  const float* added = bias ? bias : zeros.data();
#pragma omp parallel
  {
    std::vector<float> keep(Dropout::padded_width(width), 1.0f);
#pragma omp for schedule(static)
    for (std::size_t i = 0; i < z.rows; ++i) {
      if (dropout.active()) dropout.factors(i, width, keep.data());
      const float inverse = add_and_normalise_row(
          width, z.row(i), added, keep.data(), residual.data ? residual.row(i) : nullptr,
          norm.weight, norm.shift, norm.epsilon, normalised ? normalised + i * width : nullptr,
          out.row(i));
      if (deviation_inverse) deviation_inverse[i] = inverse;
    }
  }
}

void add_norm_gradients(const LayerNorm& norm, MatrixView<const float> d_out,
                        const float* normalised) {
  if (!norm.weight_gradient) return;
  const std::size_t width = d_out.columns;
  // Threads share the columns, so that the order of every sum is that of the rows.
  constexpr std::size_t block = 64;
#pragma omp parallel for schedule(static)
  for (std::size_t begin = 0; begin < width; begin += block) {
    const std::size_t count = std::min(block, width - begin);
    for (std::size_t i = 0; i < d_out.rows; ++i) {
      const float* d = d_out.row(i) + begin;
      add_product_row(count, d, normalised + i * width + begin, norm.weight_gradient + begin);
      add_row(count, d, norm.shift_gradient + begin);
    }
  }
}

void add_and_normalise_backward(const LayerNorm& norm, const Dropout& dropout,
                                MatrixView<const float> d_out, const float* normalised,
                                const float* deviation_inverse, MatrixView<float> d_residual,
                                MatrixView<float> dz) {
  add_norm_gradients(norm, d_out, normalised);
  const std::size_t width = d_out.columns;
#pragma omp parallel
  {
    std::vector<float> keep(Dropout::padded_width(width), 1.0f);
#pragma omp for schedule(static)
    for (std::size_t i = 0; i < d_out.rows; ++i) {
      if (dropout.active()) dropout.factors(i, width, keep.data());
      normalise_backward_row(width, d_out.row(i), normalised + i * width, deviation_inverse[i],
                             norm.weight, keep.data(), d_residual.row(i), dz.row(i));
    }
  }
}

}  // namespace rankfold
