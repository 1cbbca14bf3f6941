#include "experiments/models/blocks/layer_norm.h"

#include <algorithm>

#include "core/device/row_kernels.h"
#include "core/device/thread_rows.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

const float* row_of(Arena& arena, std::size_t width, float value) {
  float* row = arena.take(width);
  std::fill_n(row, width, value);
  return row;
}

}  // namespace

NormTrace NormTrace::range(std::size_t first, std::size_t count) const {
  if (!normalised.data) return {};
  return {{normalised.row(first), count, normalised.columns, normalised.stride},
          deviation_inverse + first};
}

void add_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                       const Dropout& dropout, MatrixView<const float> residual,
                       const NormTrace& trace, MatrixView<float> out, Arena& arena) {
  const WorkTimer timer(arena.device(), Work::elementwise);
  const ArenaScope scope(arena);
  const std::size_t width = z.columns;
  if (!bias) bias = row_of(arena, width, 0.0f);
  const float* ones = dropout.active() ? nullptr : row_of(arena, width, 1.0f);
  const ThreadRows drawn(arena, ones ? 0 : Dropout::padded_width(width));
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < z.rows; ++i) {
    if (!ones) dropout.factors(i, width, drawn.mine());
    const float inverse = add_and_normalise_row(
        width, z.row(i), bias, ones ? ones : drawn.mine(),
        residual.data ? residual.row(i) : nullptr, norm.weight, norm.shift, norm.epsilon,
        trace.normalised.data ? trace.normalised.row(i) : nullptr, out.row(i));
    if (trace.deviation_inverse) trace.deviation_inverse[i] = inverse;
  }
}

void form_again(const LayerNorm& norm, const NormTrace& trace, MatrixView<float> out,
                const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < out.rows; ++i)
    scale_and_shift_row(out.columns, trace.normalised.row(i), norm.weight, norm.shift, out.row(i));
}

void add_norm_gradients(const LayerNorm& norm, MatrixView<const float> d_out,
                        MatrixView<const float> normalised) {
  if (!norm.weight_gradient) return;
  const std::size_t width = d_out.columns;
  // Threads share the columns, so that the order of every sum is that of the rows.
  constexpr std::size_t block = 64;
#pragma omp parallel for schedule(static)
  for (std::size_t begin = 0; begin < width; begin += block) {
    const std::size_t count = std::min(block, width - begin);
    for (std::size_t i = 0; i < d_out.rows; ++i) {
      const float* d = d_out.row(i) + begin;
      add_product_row(count, d, normalised.row(i) + begin, norm.weight_gradient + begin);
      add_row(count, d, norm.shift_gradient + begin);
    }
  }
}

void add_and_normalise_backward(const LayerNorm& norm, const Dropout& dropout,
                                MatrixView<const float> d_out, const NormTrace& trace,
                                MatrixView<float> d_residual, MatrixView<float> dz, Arena& arena) {
  const WorkTimer timer(arena.device(), Work::elementwise);
  const ArenaScope scope(arena);
  add_norm_gradients(norm, d_out, trace.normalised);
  const std::size_t width = d_out.columns;
  const float* ones = dropout.active() ? nullptr : row_of(arena, width, 1.0f);
  const ThreadRows drawn(arena, ones ? 0 : Dropout::padded_width(width));
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < d_out.rows; ++i) {
    if (!ones) dropout.factors(i, width, drawn.mine());
    normalise_backward_row(width, d_out.row(i), trace.normalised.row(i), trace.deviation_inverse[i],
                           norm.weight, ones ? ones : drawn.mine(), d_residual.row(i), dz.row(i));
  }
}

}  // namespace rankfold
