#include "experiments/models/blocks/attention.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <utility>

#include "core/device/thread_rows.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

/// Queries whose probabilities exist together.
constexpr std::size_t query_block = 64;

/// The rows of one sequence and the columns of one head.
struct Piece {
  std::size_t head, query, queries, key, keys;
};

Piece piece(std::size_t task, std::size_t heads, SequenceStarts query_starts,
            SequenceStarts key_starts) {
  const std::size_t s = task / heads;
  return {task % heads, query_starts[s], query_starts[s + 1] - query_starts[s], key_starts[s],
          key_starts[s + 1] - key_starts[s]};
}

std::size_t longest(SequenceStarts starts) {
  std::size_t result = 0;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s)
    result = std::max(result, starts[s + 1] - starts[s]);
  return result;
}

std::size_t block_size(SequenceStarts query_starts, SequenceStarts key_starts) {
  return std::min(query_block, longest(query_starts)) * longest(key_starts);
}

void copy_rows(std::size_t rows, std::size_t columns, const float* from, float* to,
               std::size_t stride) {
  for (std::size_t i = 0; i < rows; ++i) std::copy_n(from + i * columns, columns, to + i * stride);
}

}  // namespace

AttentionTrace Attention::take_trace(SequenceStarts query_starts, SequenceStarts key_starts,
                                     const Dropout& dropout, Arena& arena) const {
  const std::size_t rows = query_starts.back() * heads_;
  AttentionTrace trace;
  trace.sums = new (arena.take(rows * sizeof(SoftmaxSums) / sizeof(float))) SoftmaxSums[rows];
  if (!dropout.active()) return trace;
  trace.kept_stride = kept_bytes(longest(key_starts));
  trace.kept_keys =
      reinterpret_cast<unsigned char*>(arena.take(rows * trace.kept_stride / sizeof(float)));
  return trace;
}

void Attention::forward(MatrixView<const float> q, MatrixView<const float> k,
                        MatrixView<const float> v, SequenceStarts query_starts,
                        SequenceStarts key_starts, const Dropout& dropout,
                        const AttentionTrace& trace, MatrixView<float> context,
                        Arena& arena) const {
  const WorkTimer timer(*device_, Work::attention);
  const ArenaScope scope(arena);
  const std::size_t sequences = key_starts.size() - 1, d = head_dim_;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const ThreadRows blocks(arena, block_size(query_starts, key_starts));
  const ThreadRows factors(arena, dropout.active() ? 8 * kept_bytes(longest(key_starts)) : 0);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * heads_; ++task) {
    const Piece p = piece(task, heads_, query_starts, key_starts);
    const std::size_t column = p.head * d;
    float* const scores = blocks.mine();
    float* const keep = dropout.active() ? factors.mine() : nullptr;
    for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
      const std::size_t first = p.query + begin, count = std::min(query_block, p.queries - begin);
      device_->gemm(false, true, count, p.keys, d, 1.0f, q.row(first) + column, q.stride,
                    k.row(p.key) + column, k.stride, 0.0f, scores, p.keys);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = (first + i) * heads_ + p.head;
        if (keep) {
          dropout.factors(row, p.keys, keep);
          if (trace) pack_kept(p.keys, keep, trace.kept_keys + row * trace.kept_stride);
        }
        const SoftmaxSums sums = softmax_row(p.keys, scale, keep, scores + i * p.keys);
        if (trace) trace.sums[row] = sums;
      }
      device_->gemm(false, false, count, d, p.keys, 1.0f, scores, p.keys, v.row(p.key) + column,
                    v.stride, 0.0f, context.row(first) + column, context.stride);
    }
  }
}

void Attention::backward(MatrixView<float> q, MatrixView<float> k, MatrixView<float> v,
                         SequenceStarts query_starts, SequenceStarts key_starts,
                         const Dropout& dropout, const AttentionTrace& trace,
                         MatrixView<const float> d_context, Wanted wanted, Arena& arena) const {
  const WorkTimer timer(*device_, Work::attention);
  const ArenaScope scope(arena);
  const std::size_t sequences = key_starts.size() - 1, d = head_dim_;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t most_keys = longest(key_starts);
  const ThreadRows score_blocks(arena, block_size(query_starts, key_starts));
  const ThreadRows gradient_blocks(arena, block_size(query_starts, key_starts));
  const ThreadRows key_gradients(arena, most_keys * d), value_gradients(arena, most_keys * d);
  const ThreadRows factors(arena, dropout.active() ? 8 * kept_bytes(most_keys) : 0);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * heads_; ++task) {
    const Piece p = piece(task, heads_, query_starts, key_starts);
    const std::size_t column = p.head * d;
    float* const scores = score_blocks.mine();
    float* const ds = gradient_blocks.mine();
    float* const dk = key_gradients.mine();
    float* const dv = value_gradients.mine();
    float* const keep = dropout.active() ? factors.mine() : nullptr;
    const float* const keys = k.row(p.key) + column;
    for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
      const std::size_t first = p.query + begin, count = std::min(query_block, p.queries - begin);
      float* const queries = q.row(first) + column;
      const float* const d_rows = d_context.row(first) + column;
      const float added = begin == 0 ? 0.0f : 1.0f;
      device_->gemm(false, true, count, p.keys, d, 1.0f, queries, q.stride, keys, k.stride, 0.0f,
                    scores, p.keys);
      device_->gemm(false, true, count, p.keys, d, 1.0f, d_rows, d_context.stride,
                    v.row(p.key) + column, v.stride, 0.0f, ds, p.keys);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = (first + i) * heads_ + p.head;
        if (keep)
          unpack_kept(p.keys, dropout.scale(), trace.kept_keys + row * trace.kept_stride, keep);
        softmax_backward_row(p.keys, scale, trace.sums[row], keep, scores + i * p.keys,
                             ds + i * p.keys);
      }
      if (wanted.v)
        device_->gemm(true, false, p.keys, d, count, 1.0f, scores, p.keys, d_rows, d_context.stride,
                      added, dv, d);
      if (wanted.k)
        device_->gemm(true, false, p.keys, d, count, 1.0f, ds, p.keys, queries, q.stride, added, dk,
                      d);
      // Nothing reads this block's queries any more.
      if (wanted.q)
        device_->gemm(false, false, count, d, p.keys, 1.0f, ds, p.keys, keys, k.stride, 0.0f,
                      queries, q.stride);
    }
    if (wanted.k) copy_rows(p.keys, d, dk, k.row(p.key) + column, k.stride);
    if (wanted.v) copy_rows(p.keys, d, dv, v.row(p.key) + column, v.stride);
  }
}

}  // namespace rankfold
