#include <algorithm>
#include <cmath>

#include "core/device/cpu_device.h"
#include "core/device/cpu_scratch.h"
#include "core/device/dropout.h"

// Attention on the CPU: the probabilities of a block of queries of one head at a time.

namespace rankfold {
namespace {

using cpu::thread_scratch;

/// Queries whose probabilities exist together.
constexpr std::size_t query_block = 64;
constexpr std::size_t score_slot = 0, gradient_slot = 1, key_slot = 2, value_slot = 3,
                      factor_slot = 4;

/// The rows of one sequence and the columns of one head.
struct Piece {
  std::size_t head, query, queries, key, keys;
};

Piece piece(std::size_t task, const AttentionShape& shape) {
  const std::size_t s = task / shape.heads;
  const SequenceStarts queries = shape.query_starts, keys = shape.key_starts;
  return {task % shape.heads, queries[s], queries[s + 1] - queries[s], keys[s],
          keys[s + 1] - keys[s]};
}

std::size_t longest(SequenceStarts starts) {
  std::size_t result = 0;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s)
    result = std::max(result, starts[s + 1] - starts[s]);
  return result;
}

std::size_t block_size(const AttentionShape& shape) {
  return std::min(query_block, longest(shape.query_starts)) * longest(shape.key_starts);
}

void copy_rows(std::size_t rows, std::size_t columns, const float* from, float* to,
               std::size_t stride) {
  for (std::size_t i = 0; i < rows; ++i) std::copy_n(from + i * columns, columns, to + i * stride);
}

}  // namespace

void CpuDevice::attend(const AttentionShape& shape, MatrixView<const float> q,
                       MatrixView<const float> k, MatrixView<const float> v, const Dropout& dropout,
                       const AttentionTrace& trace, MatrixView<float> context) const {
  const std::size_t sequences = shape.key_starts.size() - 1, d = shape.head_dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t block = block_size(shape);
  const std::size_t drawn = dropout.active() ? 8 * kept_bytes(longest(shape.key_starts)) : 0;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * shape.heads; ++task) {
    const Piece p = piece(task, shape);
    const std::size_t column = p.head * d;
    float* const scores = thread_scratch(score_slot, block);
    float* const keep = drawn ? thread_scratch(factor_slot, drawn) : nullptr;
    for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
      const std::size_t first = p.query + begin, count = std::min(query_block, p.queries - begin);
      cpu::gemm(false, true, count, p.keys, d, 1.0f, q.row(first) + column, q.stride,
                k.row(p.key) + column, k.stride, 0.0f, scores, p.keys);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = (first + i) * shape.heads + p.head;
        if (keep) {
          dropout.factors(row, p.keys, keep);
          if (trace) pack_kept(p.keys, keep, trace.kept_keys + row * trace.kept_stride);
        }
        const SoftmaxSums sums = softmax_row(p.keys, scale, keep, scores + i * p.keys);
        if (trace) trace.sums[row] = sums;
      }
      cpu::gemm(false, false, count, d, p.keys, 1.0f, scores, p.keys, v.row(p.key) + column,
                v.stride, 0.0f, context.row(first) + column, context.stride);
    }
  }
}

void CpuDevice::attend_backward(const AttentionShape& shape, MatrixView<float> q,
                                MatrixView<float> k, MatrixView<float> v, const Dropout& dropout,
                                const AttentionTrace& trace, MatrixView<const float> d_context,
                                AttentionGradients wanted) const {
  const std::size_t sequences = shape.key_starts.size() - 1, d = shape.head_dim;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t most_keys = longest(shape.key_starts), block = block_size(shape);
  const std::size_t drawn = dropout.active() ? 8 * kept_bytes(most_keys) : 0;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * shape.heads; ++task) {
    const Piece p = piece(task, shape);
    const std::size_t column = p.head * d;
    float* const scores = thread_scratch(score_slot, block);
    float* const ds = thread_scratch(gradient_slot, block);
    float* const dk = thread_scratch(key_slot, most_keys * d);
    float* const dv = thread_scratch(value_slot, most_keys * d);
    float* const keep = drawn ? thread_scratch(factor_slot, drawn) : nullptr;
    const float* const keys = k.row(p.key) + column;
    for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
      const std::size_t first = p.query + begin, count = std::min(query_block, p.queries - begin);
      float* const queries = q.row(first) + column;
      const float* const d_rows = d_context.row(first) + column;
      const float added = begin == 0 ? 0.0f : 1.0f;
      cpu::gemm(false, true, count, p.keys, d, 1.0f, queries, q.stride, keys, k.stride, 0.0f,
                scores, p.keys);
      cpu::gemm(false, true, count, p.keys, d, 1.0f, d_rows, d_context.stride,
                v.row(p.key) + column, v.stride, 0.0f, ds, p.keys);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = (first + i) * shape.heads + p.head;
        if (keep)
          unpack_kept(p.keys, dropout.scale(), trace.kept_keys + row * trace.kept_stride, keep);
        softmax_backward_row(p.keys, scale, trace.sums[row], keep, scores + i * p.keys,
                             ds + i * p.keys);
      }
      if (wanted.v)
        cpu::gemm(true, false, p.keys, d, count, 1.0f, scores, p.keys, d_rows, d_context.stride,
                  added, dv, d);
      if (wanted.k)
        cpu::gemm(true, false, p.keys, d, count, 1.0f, ds, p.keys, queries, q.stride, added, dk, d);
      // Nothing reads this block's queries any more.
      if (wanted.q)
        cpu::gemm(false, false, count, d, p.keys, 1.0f, ds, p.keys, keys, k.stride, 0.0f, queries,
                  q.stride);
    }
    if (wanted.k) copy_rows(p.keys, d, dk, k.row(p.key) + column, k.stride);
    if (wanted.v) copy_rows(p.keys, d, dv, v.row(p.key) + column, v.stride);
  }
}

}  // namespace rankfold
