#include <algorithm>
#include <array>
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

/// The rows of one sequence, and a head of them. Of its `keys` the first `before` begin at row
/// `prefix`, the others at row `key`.
struct Piece {
  std::size_t head, query, queries, prefix, before, key, keys;
};

Piece piece(std::size_t s, std::size_t head, const AttentionShape& shape) {
  const SequenceStarts queries = shape.query_starts, keys = shape.key_starts;
  const std::size_t prefix = has_prefix(shape.prefixes, s) ? keys[shape.prefixes[s]] : 0;
  return {head,    queries[s],   queries[s + 1] - queries[s], prefix, shape.prefix_keys(s),
          keys[s], shape.keys(s)};
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

/// Keys of a block that lie together: `count` rows from `row` on, whose scores begin at `column`.
struct KeyRows {
  std::size_t row, column, count;
};

/// Those of the prefix and the sequence's own.
std::array<KeyRows, 2> key_rows(const Piece& p, const Seen& keys) {
  const std::size_t border = std::clamp(p.before, keys.first, keys.end);
  return {{{p.prefix + keys.first, 0, border - keys.first},
           {p.key + border - p.before, border - keys.first, keys.end - border}}};
}

/// What a query of a block does not see, in a row of the block's keys: 0.
void clear_unseen(const Block& block, const Seen& own, float* row) {
  std::fill(row, row + (own.first - block.keys.first), 0.0f);
  std::fill(row + (own.end - block.keys.first), row + block.width(), 0.0f);
}

std::size_t key_value_heads(const AttentionShape& shape) {
  return shape.key_value_heads > 0 ? shape.key_value_heads : shape.heads;
}

std::size_t most_keys(const AttentionShape& shape) {
  std::size_t result = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s) result = std::max(result, shape.keys(s));
  return result;
}

std::size_t block_size(const AttentionShape& shape) {
  std::size_t queries = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s)
    queries = std::max(queries, shape.query_starts[s + 1] - shape.query_starts[s]);
  return std::min(query_block, queries) * most_keys(shape);
}

/// scores [rows, keys.count()] = x K^T, and y = scores V, of one head's columns of K and V.
void multiply_by_keys(const Piece& p, const Seen& keys, std::size_t rows, std::size_t columns,
                      const float* x, std::size_t stride, MatrixView<const float> k,
                      std::size_t key_column, float* scores) {
  for (const KeyRows& part : key_rows(p, keys))
    if (part.count > 0)
      cpu::gemm(false, true, rows, part.count, columns, 1.0f, x, stride,
                k.row(part.row) + key_column, k.stride, 0.0f, scores + part.column, keys.count());
}
void sum_values(const Piece& p, const Seen& keys, std::size_t rows, std::size_t columns,
                const float* scores, MatrixView<const float> v, std::size_t key_column, float* y,
                std::size_t stride) {
  float kept = 0.0f;
  for (const KeyRows& part : key_rows(p, keys)) {
    if (part.count == 0) continue;
    cpu::gemm(false, false, rows, columns, part.count, 1.0f, scores + part.column, keys.count(),
              v.row(part.row) + key_column, v.stride, kept, y, stride);
    kept = 1.0f;
  }
}

void copy_rows(std::size_t rows, std::size_t columns, const float* from, float* to,
               std::size_t stride) {
  for (std::size_t i = 0; i < rows; ++i) std::copy_n(from + i * columns, columns, to + i * stride);
}

}  // namespace

void CpuDevice::attend(const AttentionShape& shape, MatrixView<const float> q,
                       MatrixView<const float> k, MatrixView<const float> v, const Dropout& dropout,
                       const AttentionTrace& trace, MatrixView<float> context) const {
  const std::size_t d = shape.head_dim, sharing = shape.heads / key_value_heads(shape);
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t block_numbers = block_size(shape);
  const std::size_t drawn = dropout.active() ? 8 * kept_bytes(most_keys(shape)) : 0;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < shape.sequences() * shape.heads; ++task) {
    const Piece p = piece(task / shape.heads, task % shape.heads, shape);
    const std::size_t column = p.head * d, key_column = p.head / sharing * d;
    float* const scores = thread_scratch(score_slot, block_numbers);
    float* const keep = drawn ? thread_scratch(factor_slot, drawn) : nullptr;
    for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
      const Block block = block_at(shape, p, begin);
      const std::size_t first = p.query + begin, count = block.count, width = block.width();
      multiply_by_keys(p, block.keys, count, d, q.row(first) + column, q.stride, k, key_column,
                       scores);
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
      sum_values(p, block.keys, count, d, scores, v, key_column, context.row(first) + column,
                 context.stride);
    }
  }
}

void CpuDevice::attend_backward(const AttentionShape& shape, MatrixView<float> q,
                                MatrixView<float> k, MatrixView<float> v, const Dropout& dropout,
                                const AttentionTrace& trace, MatrixView<const float> d_context,
                                AttentionGradients wanted) const {
  const std::size_t d = shape.head_dim, key_heads = key_value_heads(shape),
                    sharing = shape.heads / key_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const std::size_t all_keys = most_keys(shape), block_numbers = block_size(shape);
  const std::size_t drawn = dropout.active() ? 8 * kept_bytes(all_keys) : 0;

  // Adds one sequence's gradients to dk and dv, of all keys that it sees; its queries become
  // theirs.
  const auto go_back = [&](const Piece& p, float* dk, float* dv) {
    const std::size_t key_column = p.head * d;
    float* const scores = thread_scratch(score_slot, block_numbers);
    float* const ds = thread_scratch(gradient_slot, block_numbers);
    float* const keep = drawn ? thread_scratch(factor_slot, drawn) : nullptr;
    for (std::size_t sharer = 0; sharer < sharing; ++sharer) {
      const std::size_t head = p.head * sharing + sharer, column = head * d;
      for (std::size_t begin = 0; begin < p.queries; begin += query_block) {
        const Block block = block_at(shape, p, begin);
        const std::size_t first = p.query + begin, count = block.count, width = block.width(),
                          key = block.keys.first;
        float* const queries = q.row(first) + column;
        const float* const d_rows = d_context.row(first) + column;
        const float added = !shape.causal && sharer == 0 && begin == 0 ? 0.0f : 1.0f;
        multiply_by_keys(p, block.keys, count, d, queries, q.stride, k, key_column, scores);
        multiply_by_keys(p, block.keys, count, d, d_rows, d_context.stride, v, key_column, ds);
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
        if (wanted.q) sum_values(p, block.keys, count, d, ds, k, key_column, queries, q.stride);
      }
    }
  };
  // Nothing reads a sequence's own keys and values once those that go on from it are done.
  const auto store = [&](const Piece& p, const float* dk, const float* dv) {
    const std::size_t own = p.keys - p.before, key_column = p.head * d;
    if (wanted.k) copy_rows(own, d, dk + p.before * d, k.row(p.key) + key_column, k.stride);
    if (wanted.v) copy_rows(own, d, dv + p.before * d, v.row(p.key) + key_column, v.stride);
  };
  const auto clear = [&](const Piece& p, float* dk, float* dv) {
    if (!shape.causal) return;  // the first block overwrites
    std::fill(dk + p.before * d, dk + p.keys * d, 0.0f);
    std::fill(dv + p.before * d, dv + p.keys * d, 0.0f);
  };

  // One thread has all heads that share keys and values, and all sequences that share a prefix, so
  // that their gradients are its own.
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < shape.sequences() * key_heads; ++task) {
    const std::size_t s = task / key_heads, head = task % key_heads;
    if (has_prefix(shape.prefixes, s)) continue;
    float* const dk = thread_scratch(key_slot, all_keys * d);
    float* const dv = thread_scratch(value_slot, all_keys * d);
    const Piece p = piece(s, head, shape);
    clear(p, dk, dv);
    go_back(p, dk, dv);
    for (std::size_t next = s + 1; next < shape.prefixes.size(); ++next) {
      if (shape.prefixes[next] != s) continue;
      const Piece further = piece(next, head, shape);
      clear(further, dk, dv);
      go_back(further, dk, dv);
      store(further, dk, dv);
    }
    store(p, dk, dv);
  }
}

}  // namespace rankfold
