#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <new>

#include "core/device/bfloat16_weight.h"
#include "core/device/cpu_device.h"
#include "core/device/cpu_row_factors.h"
#include "core/device/cpu_scratch.h"
#include "core/device/dropout.h"

// Rows, norms, embeddings and losses of the CPU's device.

namespace rankfold {

namespace cpu {
namespace {

struct Free {
  void operator()(float* memory) const { ::operator delete[](memory, std::align_val_t{64}); }
};
struct Scratch {
  std::unique_ptr<float[], Free> memory;
  std::size_t size = 0;
};

}  // namespace

float* thread_scratch(std::size_t slot, std::size_t size) {
  thread_local std::array<Scratch, scratch_slots> all;
  Scratch& scratch = all[slot];
  if (scratch.size < size) {
    scratch.memory.reset();
    const std::size_t lines = whole_lines(size);
    scratch.memory.reset(new (std::align_val_t{64}) float[lines]);
    scratch.size = lines;
  }
  return scratch.memory.get();
}

}  // namespace cpu

using cpu::for_rows;
using cpu::one_slot;
using cpu::row_of;
using cpu::RowFactors;
using cpu::sum_slot;
using cpu::thread_scratch;
using cpu::zero_slot;

void CpuDevice::gather_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                            MatrixView<float> to) const {
  for (std::size_t i = 0; i < to.rows; ++i) std::copy_n(from.row(rows[i]), to.columns, to.row(i));
}

void CpuDevice::add_to_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                            MatrixView<float> to) const {
  for (std::size_t i = 0; i < from.rows; ++i) add_row(from.columns, from.row(i), to.row(rows[i]));
}

void CpuDevice::add_column_sums(MatrixView<const float> x, float* sums) const {
  for (std::size_t i = 0; i < x.rows; ++i) add_row(x.columns, x.row(i), sums);
}

void CpuDevice::multiply_matrix(MatrixView<const float> factors, MatrixView<float> x) const {
  for_rows(x.rows,
           [&](std::size_t i) { multiply_row(x.columns, x.row(i), factors.row(i), x.row(i)); });
}

void CpuDevice::apply_dropout(const Dropout& dropout, MatrixView<float> x) const {
  if (!dropout.active()) return;
  const RowFactors factors(dropout, x.columns);
  for_rows(x.rows,
           [&](std::size_t i) { multiply_row(x.columns, x.row(i), factors.of_row(i), x.row(i)); });
}

void CpuDevice::tanh(MatrixView<float> x) const {
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t j = 0; j < x.columns; ++j) x.row(i)[j] = std::tanh(x.row(i)[j]);
}

void CpuDevice::tanh_backward(MatrixView<const float> y, MatrixView<float> d) const {
  for (std::size_t i = 0; i < d.rows; ++i)
    for (std::size_t j = 0; j < d.columns; ++j) d.row(i)[j] *= 1.0f - y.row(i)[j] * y.row(i)[j];
}

void CpuDevice::activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
                         MatrixView<float> value, bool keep) const {
  if (!bias) bias = row_of(zero_slot, x.columns, 0.0f);
  for_rows(x.rows, [&](std::size_t i) {
    activate_row(activation, x.columns, x.row(i), bias, value.row(i), keep ? x.row(i) : nullptr);
  });
}

void CpuDevice::add_and_normalise(const NormWeights& norm, MatrixView<const float> z,
                                  const float* bias, const Dropout& dropout,
                                  MatrixView<const float> residual, const NormTrace& trace,
                                  MatrixView<float> out) const {
  if (!bias) bias = row_of(zero_slot, z.columns, 0.0f);
  const RowFactors factors(dropout, z.columns);
  for_rows(z.rows, [&](std::size_t i) {
    const float inverse = add_and_normalise_row(
        z.columns, z.row(i), bias, factors.of_row(i), residual.data ? residual.row(i) : nullptr,
        norm.weight, norm.shift, norm.epsilon,
        trace.normalised.data ? trace.normalised.row(i) : nullptr, out.row(i));
    if (trace.deviation_inverse) trace.deviation_inverse[i] = inverse;
  });
}

void CpuDevice::scale_and_shift(const NormWeights& norm, MatrixView<const float> normalised,
                                MatrixView<float> out) const {
  for_rows(out.rows, [&](std::size_t i) {
    scale_and_shift_row(out.columns, normalised.row(i), norm.weight, norm.shift, out.row(i));
  });
}

void CpuDevice::add_and_normalise_backward(const NormWeights& norm, const Dropout& dropout,
                                           MatrixView<const float> d_out, const NormTrace& trace,
                                           MatrixView<float> d_residual,
                                           MatrixView<float> dz) const {
  const RowFactors factors(dropout, d_out.columns);
  for_rows(d_out.rows, [&](std::size_t i) {
    normalise_backward_row(d_out.columns, d_out.row(i), trace.normalised.row(i),
                           trace.deviation_inverse[i], norm.weight, factors.of_row(i),
                           d_residual.row(i), dz.row(i));
  });
}

void CpuDevice::add_norm_gradients(MatrixView<const float> d_out,
                                   MatrixView<const float> normalised, float* weight_gradient,
                                   float* shift_gradient) const {
  // Threads share the columns, so that the order of every sum is that of the rows.
  constexpr std::size_t block = 64;
  const std::size_t width = d_out.columns;
  for_rows((width + block - 1) / block, [&](std::size_t index) {
    const std::size_t begin = index * block, count = std::min(block, width - begin);
    for (std::size_t i = 0; i < d_out.rows; ++i) {
      const float* d = d_out.row(i) + begin;
      add_product_row(count, d, normalised.row(i) + begin, weight_gradient + begin);
      add_row(count, d, shift_gradient + begin);
    }
  });
}

void CpuDevice::embed(const EmbeddingTables& tables, std::span<const std::int32_t> ids,
                      std::span<const std::int32_t> type_ids, SequenceStarts starts,
                      const NormWeights& norm, const Dropout& dropout, MatrixView<float> normalised,
                      MatrixView<float> out) const {
  const std::size_t width = out.columns;
  const float* zeros = row_of(zero_slot, width, 0.0f);
  const float* ones = row_of(one_slot, width, 1.0f);
  const RowFactors factors(dropout, width);
  for_rows(starts.size() - 1, [&](std::size_t s) {
    auto next = static_cast<std::size_t>(tables.padding + 1);
    for (std::size_t t = starts[s]; t < starts[s + 1]; ++t) {
      const std::size_t position =
          ids[t] == tables.padding ? static_cast<std::size_t>(tables.padding) : next++;
      const auto row = [&](const float* table, std::size_t index) {
        return table ? table + index * width : zeros;
      };
      float* sum = thread_scratch(sum_slot, width);
      add_rows(width, row(tables.words, static_cast<std::size_t>(ids[t])),
               row(tables.types, static_cast<std::size_t>(type_ids[t])),
               row(tables.positions, position), sum);
      add_and_normalise_row(width, sum, zeros, ones, nullptr, norm.weight, norm.shift, norm.epsilon,
                            normalised.data ? normalised.row(t) : nullptr, out.row(t));
      if (dropout.active()) multiply_row(width, out.row(t), factors.of_row(t), out.row(t));
    }
  });
}

double CpuDevice::cross_entropy(MatrixView<const float> logits, std::span<const float> labels,
                                double smoothing, MatrixView<float> d_logits) const {
  const std::size_t classes = logits.columns;
  const auto count = static_cast<double>(logits.rows);
  double loss = 0;
  for (std::size_t s = 0; s < logits.rows; ++s) {
    const std::span<const float> row(logits.row(s), classes);
    const auto label = static_cast<std::size_t>(labels[s]);
    const double largest = *std::ranges::max_element(row);
    double sum = 0;
    for (const float logit : row) sum += std::exp(logit - largest);
    const double normaliser = std::log(sum) + largest;
    loss += (normaliser - row[label]) / count;
    if (smoothing > 0) {
      double others = 0;
      for (const float logit : row) others += normaliser - logit;
      loss +=
          smoothing * (others / static_cast<double>(classes) - (normaliser - row[label])) / count;
    }
    const double share = smoothing / static_cast<double>(classes);
    for (std::size_t c = 0; c < classes; ++c)
      d_logits.row(s)[c] = static_cast<float>(
          (std::exp(row[c] - largest) / sum - (c == label ? 1.0 - smoothing : 0.0) - share) /
          count);
  }
  return loss;
}

double CpuDevice::squared_error(MatrixView<const float> logits, std::span<const float> labels,
                                MatrixView<float> d_logits) const {
  const auto count = static_cast<double>(logits.rows * logits.columns);
  double loss = 0;
  for (std::size_t s = 0; s < logits.rows; ++s)
    for (std::size_t c = 0; c < logits.columns; ++c) {
      const double difference = double{logits.row(s)[c]} - double{labels[s]};
      loss += difference * difference / count;
      d_logits.row(s)[c] = static_cast<float>(2.0 * difference / count);
    }
  return loss;
}

/// Few blocks, for every product of one packs its weight again and ends in a barrier, and little
/// memory.
std::size_t CpuDevice::feed_forward_rows(std::size_t rows, std::size_t width) const {
  constexpr std::size_t most_rows = 2048, most_values = std::size_t{3} << 20;
  return std::min({rows, most_rows, std::max<std::size_t>(most_values / width, 64)});
}

std::unique_ptr<const Bfloat16Weight> CpuDevice::prepare_bfloat16(const float* weight,
                                                                  std::size_t out,
                                                                  std::size_t in) const {
  return std::make_unique<const Bfloat16Weight>(weight, out, in);
}

}  // namespace rankfold
