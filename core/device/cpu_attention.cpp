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

/// The rows of one sequence, and a head of them.
struct Piece {
  std::size_t head, query, queries, key, keys;
};

Piece piece(std::size_t task, std::size_t heads, const AttentionShape& shape) {
  const std::size_t s = task / heads;
  const SequenceStarts queries = shape.query_starts, keys = shape.key_starts;
  return {task % heads, queries[s], queries[s + 1] - queries[s], keys[s], keys[s + 1] - keys[s]};
}

/// Keys of a sequence that one of its queries sees.
struct Seen {
  std::size_t first, end;
  std::size_t count() const { return end - first; }
};

Seen seen(const AttentionShape& shape, const Piece& p, std::size_t query) {
  if (!shape.causal) return {0, p.keys};
  const std::size_t end = p.keys - p.queries + query + 1;
  return {shape.window > 0 && end > shape.window ? end - shape.window : 0, end};
}

/// Queries that share their scores' memory, and the keys that any of them sees.
struct Block {
  std::size_t begin, count;  ///< queries of the piece
  Seen keys;
  std::size_t width() const { return keys.count(); }
};

Block block_at(const AttentionShape& shape, const Piece& p, std::size_t begin) {
  const std::size_t count = std::min(query_block, p.queries - begin);
  return {begin, count, {seen(shape, p, begin).first, seen(shape, p, begin + count - 1).end}};
}

/// What a query of a block does not see, in a row of the block's keys: 0.
void clear_unseen(const Block& block, const Seen& own, float* row) {
  std::fill(row, row + (own.first - block.keys.first), 0.0f);
  std::fill(row + (own.end - block.keys.first), row + block.width(), 0.0f);
}

std::size_t key_value_heads(const AttentionShape& shape) {
  return shape.key_value_heads > 0 ? shape.key_value_heads : shape.heads;
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
  const std::size_t sharing = shape.heads / key_value_heads(shape);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t block_numbers = block_size(shape);
  const std::size_t drawn = dropout.active() ? 8 * kept_bytes(longest(shape.key_starts)) : 0;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * shape.heads; ++task) {
    const Piece p = piece(task, shape.heads, shape);
    const std::size_t column = p.head * d, key_column = p.head / sharing * d;
    float* const scores = thread_scratch(score_slot, block_numbers);
    float* const keep = drawn ? thread_scratch(factor_slot, drawn) : nullptr;
    for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
      const Block block = block_at(shape, p, begin);
      const std::size_t first = p.query + begin, count = block.count, width = block.width(),
                        key = p.key + block.keys.first;
      cpu::gemm(false, true, count, width, d, 1.0f, q.row(first) + column, q.stride,
                k.row(key) + key_column, k.stride, 0.0f, scores, width);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = (first + i) * shape.heads + p.head;
        const Seen own = seen(shape, p, begin + i);
        float* const own_scores = scores + i * width;
        if (keep) {
          dropout.factors(row, own.end, keep);
          if (trace) pack_kept(own.end, keep, trace.kept_keys + row * trace.kept_stride);
        }
        const SoftmaxSums sums = softmax_row(own.count(), scale, keep ? keep + own.first : nullptr,
                                             own_scores + (own.first - block.keys.first));
        if (shape.causal) clear_unseen(block, own, own_scores);
        if (trace) trace.sums[row] = sums;
      }
      cpu::gemm(false, false, count, d, width, 1.0f, scores, width, v.row(key) + key_column,
                v.stride, 0.0f, context.row(first) + column, context.stride);
    }
  }
}

void CpuDevice::attend_backward(const AttentionShape& shape, MatrixView<float> q,
                                MatrixView<float> k, MatrixView<float> v, const Dropout& dropout,
                                const AttentionTrace& trace, MatrixView<const float> d_context,
                                AttentionGradients wanted) const {
  const std::size_t sequences = shape.key_starts.size() - 1, d = shape.head_dim;
  const std::size_t key_heads = key_value_heads(shape), sharing = shape.heads / key_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t most_keys = longest(shape.key_starts), block_numbers = block_size(shape);
  const std::size_t drawn = dropout.active() ? 8 * kept_bytes(most_keys) : 0;
  // One thread has all heads that share keys and values, so that their gradients are its own.
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * key_heads; ++task) {
    const Piece p = piece(task, key_heads, shape);
    const std::size_t key_column = p.head * d;
    float* const scores = thread_scratch(score_slot, block_numbers);
    float* const ds = thread_scratch(gradient_slot, block_numbers);
    float* const dk = thread_scratch(key_slot, most_keys * d);
    float* const dv = thread_scratch(value_slot, most_keys * d);
    float* const keep = drawn ? thread_scratch(factor_slot, drawn) : nullptr;
    if (shape.causal) {
      std::fill_n(dk, p.keys * d, 0.0f);
      std::fill_n(dv, p.keys * d, 0.0f);
    }
    for (std::size_t sharer = 0; sharer < sharing; ++sharer) {
      const std::size_t head = p.head * sharing + sharer, column = head * d;
      for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
        const Block block = block_at(shape, p, begin);
        const std::size_t first = p.query + begin, count = block.count, width = block.width(),
                          key = block.keys.first;
        float* const queries = q.row(first) + column;
        const float* const d_rows = d_context.row(first) + column;
        const float* const keys = k.row(p.key + key) + key_column;
        const float added = !shape.causal && sharer == 0 && begin == 0 ? 0.0f : 1.0f;
        cpu::gemm(false, true, count, width, d, 1.0f, queries, q.stride, keys, k.stride, 0.0f,
                  scores, width);
        cpu::gemm(false, true, count, width, d, 1.0f, d_rows, d_context.stride,
                  v.row(p.key + key) + key_column, v.stride, 0.0f, ds, width);
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t row = (first + i) * shape.heads + head;
          const Seen own = seen(shape, p, begin + i);
          const std::size_t at = i * width + (own.first - key);
          if (keep)
            unpack_kept(own.end, dropout.scale(), trace.kept_keys + row * trace.kept_stride, keep);
          softmax_backward_row(own.count(), scale, trace.sums[row],
                               keep ? keep + own.first : nullptr, scores + at, ds + at);
          if (!shape.causal) continue;
          clear_unseen(block, own, scores + i * width);
          clear_unseen(block, own, ds + i * width);
        }
        if (wanted.v)
          cpu::gemm(true, false, width, d, count, 1.0f, scores, width, d_rows, d_context.stride,
                    added, dv + key * d, d);
        if (wanted.k)
          cpu::gemm(true, false, width, d, count, 1.0f, ds, width, queries, q.stride, added,
                    dk + key * d, d);
        // Nothing reads this block's queries any more.
        if (wanted.q)
          cpu::gemm(false, false, count, d, width, 1.0f, ds, width, keys, k.stride, 0.0f, queries,
                    q.stride);
      }
    }
    if (wanted.k) copy_rows(p.keys, d, dk, k.row(p.key) + key_column, k.stride);
    if (wanted.v) copy_rows(p.keys, d, dv, v.row(p.key) + key_column, v.stride);
  }
}

}  // namespace rankfold
