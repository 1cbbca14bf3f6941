#include <algorithm>

#include "core/device/cpu_device.h"
#include "core/device/cpu_row_factors.h"

// What the layers of decoders have beside those of encoders: norms before their parts, rotary
// positions, gates, and losses over a vocabulary.

namespace rankfold {

using cpu::for_rows;
using cpu::one_slot;
using cpu::row_of;
using cpu::RowFactors;
using cpu::sum_slot;
using cpu::thread_scratch;
using cpu::zero_slot;

namespace {

void normalise_groups(const NormWeights& norm, std::size_t columns, const float* x, float* out) {
  const std::size_t width = columns / norm.groups;
  for (std::size_t begin = 0; begin < columns; begin += width)
    normalise_row(width, norm.centred, norm.epsilon, x + begin, norm.weight, norm.shift,
                  out + begin);
}

}  // namespace

void CpuDevice::add_residual_and_normalise(const NormWeights& norm, MatrixView<const float> z,
                                           const float* bias, const Dropout& dropout,
                                           MatrixView<const float> residual, MatrixView<float> sum,
                                           MatrixView<float> out) const {
  if (!bias) bias = row_of(zero_slot, z.columns, 0.0f);
  const RowFactors factors(dropout, z.columns);
  for_rows(z.rows, [&](std::size_t i) {
    add_residual_row(z.columns, z.row(i), bias, factors.of_row(i), residual.row(i), sum.row(i));
    if (out.data) normalise_groups(norm, z.columns, sum.row(i), out.row(i));
  });
}

void CpuDevice::normalise(const NormWeights& norm, MatrixView<const float> x,
                          MatrixView<float> out) const {
  for_rows(x.rows, [&](std::size_t i) { normalise_groups(norm, x.columns, x.row(i), out.row(i)); });
}

void CpuDevice::normalise_backward(const NormWeights& norm, MatrixView<const float> d_out,
                                   MatrixView<const float> x, bool add,
                                   MatrixView<float> dx) const {
  const std::size_t width = x.columns / norm.groups;
  for_rows(x.rows, [&](std::size_t i) {
    for (std::size_t begin = 0; begin < x.columns; begin += width)
      normalised_row_backward(width, norm.centred, norm.epsilon, d_out.row(i) + begin,
                              x.row(i) + begin, norm.weight, add, dx.row(i) + begin);
  });
}

void CpuDevice::add_normalise_gradients(const NormWeights& norm, MatrixView<const float> d_out,
                                        MatrixView<const float> x, float* weight_gradient,
                                        float* shift_gradient) const {
  // Threads share the rows of a block, then its columns, so that the order of every sum is that of
  // the rows.
  constexpr std::size_t block = 64, columns_together = 64;
  const std::size_t width = x.columns / norm.groups;
  NormWeights plain = norm;
  plain.weight = row_of(one_slot, width, 1.0f);
  plain.shift = nullptr;
  float* const normalised = thread_scratch(sum_slot, block * x.columns);
  for (std::size_t begin = 0; begin < x.rows; begin += block) {
    const std::size_t count = std::min(block, x.rows - begin);
    for_rows(count, [&](std::size_t i) {
      normalise_groups(plain, x.columns, x.row(begin + i), normalised + i * x.columns);
    });
    for_rows((width + columns_together - 1) / columns_together, [&](std::size_t index) {
      const std::size_t first = index * columns_together,
                        columns = std::min(columns_together, width - first);
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = first; j < x.columns; j += width) {
          const float* d = d_out.row(begin + i) + j;
          add_product_row(columns, d, normalised + i * x.columns + j, weight_gradient + first);
          if (shift_gradient) add_row(columns, d, shift_gradient + first);
        }
    });
  }
}

void CpuDevice::turn(const TurnTable& table, std::span<const std::size_t> positions, bool back,
                     MatrixView<float> x) const {
  const std::size_t half = table.half;
  for_rows(x.rows, [&](std::size_t i) {
    const std::size_t angle = positions[i] * half;
    for (std::size_t head = 0; head < x.columns; head += 2 * half)
      turn_row(half, table.cosines + angle, table.sines + angle, back, x.row(i) + head);
  });
}

void CpuDevice::gated(HiddenActivation activation, MatrixView<const float> gate,
                      MatrixView<const float> up, MatrixView<float> out) const {
  for_rows(out.rows, [&](std::size_t i) {
    gated_row(activation, out.columns, gate.row(i), up.row(i), out.row(i));
  });
}

void CpuDevice::gated_backward(HiddenActivation activation, MatrixView<const float> d,
                               MatrixView<float> gate, MatrixView<float> up) const {
  for_rows(d.rows, [&](std::size_t i) {
    gated_backward_row(activation, d.columns, d.row(i), gate.row(i), up.row(i));
  });
}

void CpuDevice::embed_tokens(const float* words, const float* places,
                             std::span<const std::int32_t> ids,
                             std::span<const std::size_t> positions, MatrixView<float> out) const {
  const std::size_t width = out.columns;
  for_rows(out.rows, [&](std::size_t i) {
    std::copy_n(words + static_cast<std::size_t>(ids[i]) * width, width, out.row(i));
    if (places) add_row(width, places + positions[i] * width, out.row(i));
  });
}

void CpuDevice::cross_entropy_in_place(MatrixView<float> logits,
                                       std::span<const std::int32_t> labels,
                                       std::span<const float> scales,
                                       std::span<double> losses) const {
  for_rows(logits.rows, [&](std::size_t i) {
    losses[i] =
        cross_entropy_row(logits.columns, static_cast<std::size_t>(labels[i]),
                          scales.empty() ? 0.0f : scales[i], !scales.empty(), logits.row(i));
  });
}

/// Enough that a product with the vocabulary's weight pays for reading it.
std::size_t CpuDevice::vocabulary_rows(std::size_t rows, std::size_t vocabulary) const {
  constexpr std::size_t most_values = std::size_t{12} << 20, fewest = 64;
  return std::min(rows, std::max(most_values / vocabulary, fewest));
}

}  // namespace rankfold
