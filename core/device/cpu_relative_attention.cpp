#include <algorithm>

#include "core/device/cpu_device.h"
#include "core/device/cpu_scratch.h"
#include "core/device/dropout.h"

// Attention with relative positions on the CPU: as in cpu_attention.cpp the probabilities of a
// block of queries of one head exist at a time. A block meets a run of positions; products with it
// are formed as they lie, and moved to or from the scores' places row by row.

namespace rankfold {
namespace {

using cpu::thread_scratch;

/// Queries whose probabilities exist together.
constexpr std::size_t block_queries = 128;
/// Queries, or keys, that meet a run of positions together: the more, the longer is the run of
/// which each of them needs a part.
constexpr std::size_t run_rows = 32;
/// Gradients of positions are summed over so many parts of the sequences, then over the parts.
constexpr std::size_t most_parts = 8;

/// Scratch of a thread; sums of positions are that of the thread that calls.
constexpr std::size_t relative_scores = 0, score_gradients = 1, key_gradients = 2,
                      value_gradients = 3, relative_factors = 4, run_products = 5,
                      key_position_sums = 6, query_position_sums = 7;

/// Rows of positions that follow each other.
struct Run {
  std::size_t first, count;
};

std::size_t longest_sequence(SequenceStarts starts) {
  std::size_t result = 0;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s)
    result = std::max(result, starts[s + 1] - starts[s]);
  return result;
}

/// How much of everything the largest block needs.
struct Sizes {
  Sizes(const AttentionShape& shape, const Dropout& dropout)
      : keys(longest_sequence(shape.key_starts)),
        queries(std::min(block_queries, longest_sequence(shape.query_starts))),
        scores(queries * keys),
        products(run_rows * (run_rows + std::max(queries, keys))),
        drawn(dropout.active() ? 8 * kept_bytes(keys) : 0) {}
  std::size_t keys, queries, scores, products, drawn;
};

/// One head of one sequence.
template <class T>
struct Head {
  Head(const AttentionShape& shape, const RelativeScores& scores, std::size_t sequence,
       std::size_t number, MatrixView<T> q_all, MatrixView<T> k_all, MatrixView<T> v_all)
      : relative(scores),
        head(number),
        heads(shape.heads),
        d(shape.head_dim),
        column(number * shape.head_dim),
        query(shape.query_starts[sequence]),
        queries(shape.query_starts[sequence + 1] - query),
        keys(shape.key_starts[sequence + 1] - shape.key_starts[sequence]),
        q(part(q_all, query, queries)),
        k(part(k_all, shape.key_starts[sequence], keys)),
        v(part(v_all, shape.key_starts[sequence], keys)) {}

  MatrixView<T> part(MatrixView<T> all, std::size_t first, std::size_t count) const {
    return {all.row(first) + head * relative.head_stride, count, d, all.stride};
  }
  /// The row of positions of key 0 and query i; those of the next keys follow.
  const std::uint32_t* rows_of(std::size_t i) const {
    return relative.rows.data() + relative.rows.size() / 2 - i;
  }
  /// Positions that queries i .. i + count - 1 and keys j .. j + width - 1 meet.
  Run run(std::size_t i, std::size_t count, std::size_t j, std::size_t width) const {
    const std::size_t first = rows_of(i + count - 1)[j];
    return {first, rows_of(i)[j + width - 1] - first + 1};
  }
  /// The head's columns of a run of `positions`.
  template <class U>
  U* of_run(MatrixView<U> positions, Run of) const {
    return positions.row(of.first) + column;
  }

  /// scores[count, keys] of queries i .. i + count - 1, without the scale.
  void form_scores(std::size_t i, std::size_t count, float* products, float* scores) const {
    cpu::gemm(false, true, count, keys, d, 1.0f, q.row(i), q.stride, k.data, k.stride, 0.0f, scores,
              keys);
    if (relative.keys.data)
      for (std::size_t a = 0; a < count; a += run_rows)
        add_content_to_position(i + a, std::min(run_rows, count - a), products, scores + a * keys);
    if (relative.queries.data)
      for (std::size_t j = 0; j < keys; j += run_rows)
        add_position_to_content(i, count, j, products, scores);
  }
  void add_content_to_position(std::size_t i, std::size_t count, float* products,
                               float* scores) const {
    const Run met = run(i, count, 0, keys);
    cpu::gemm(false, true, count, met.count, d, 1.0f, q.row(i), q.stride,
              of_run(relative.keys, met), relative.keys.stride, 0.0f, products, met.count);
    for (std::size_t a = 0; a < count; ++a) {
      const std::uint32_t* const rows = rows_of(i + a);
      const float* const from = products + a * met.count;
      if (rows[keys - 1] - rows[0] == keys - 1)
        add_row(keys, from + rows[0] - met.first, scores + a * keys);
      else
        add_indexed_row(keys, from, 0, rows, met.first, scores + a * keys);
    }
  }
  void add_position_to_content(std::size_t i, std::size_t count, std::size_t j, float* products,
                               float* scores) const {
    const std::size_t width = std::min(run_rows, keys - j);
    const Run met = run(i, count, j, width);
    cpu::gemm(false, true, width, met.count, d, 1.0f, k.row(j), k.stride,
              of_run(relative.queries, met), relative.queries.stride, 0.0f, products, met.count);
    for (std::size_t a = 0; a < count; ++a)
      add_indexed_row(width, products, met.count, rows_of(i + a) + j, met.first,
                      scores + a * keys + j);
  }

  const RelativeScores& relative;
  std::size_t head, heads, d, column, query, queries, keys;
  MatrixView<T> q, k, v;
};

/// What a backward of one head writes to; sums of positions may be null.
struct HeadGradients {
  float *dk, *dv, *key_positions, *query_positions;
  AttentionGradients wanted;
};

/// Through the products of queries and positions, from ds[count, keys] of queries i .. i + count -
/// 1: `q` becomes its gradient where it is wanted.
void spread_to_queries(const Head<float>& h, std::size_t i, std::size_t count, const float* ds,
                       float* products, const HeadGradients& to) {
  const MatrixView<const float>& keys = h.relative.keys;
  float* const q = h.q.row(i);
  Run met{};
  const bool through_positions = keys.data && (to.wanted.q || to.key_positions);
  if (through_positions) {
    met = h.run(i, count, 0, h.keys);
    std::fill_n(products, count * met.count, 0.0f);
    for (std::size_t a = 0; a < count; ++a)
      add_to_indexed_row(h.keys, ds + a * h.keys, h.rows_of(i + a), met.first, 0,
                         products + a * met.count);
  }
  if (to.key_positions)
    cpu::gemm(true, false, met.count, h.d, count, 1.0f, products, met.count, q, h.q.stride, 1.0f,
              to.key_positions + met.first * h.d, h.d);
  if (!to.wanted.q) return;
  cpu::gemm(false, false, count, h.d, h.keys, 1.0f, ds, h.keys, h.k.data, h.k.stride, 0.0f, q,
            h.q.stride);
  if (through_positions)
    cpu::gemm(false, false, count, h.d, met.count, 1.0f, products, met.count, h.of_run(keys, met),
              keys.stride, 1.0f, q, h.q.stride);
}

/// Through the products of keys from j on and positions.
void spread_to_keys(const Head<float>& h, std::size_t i, std::size_t count, std::size_t j,
                    const float* ds, float* products, const HeadGradients& to) {
  const MatrixView<const float>& queries = h.relative.queries;
  const std::size_t width = std::min(run_rows, h.keys - j);
  const Run met = h.run(i, count, j, width);
  std::fill_n(products, width * met.count, 0.0f);
  for (std::size_t a = 0; a < count; ++a)
    add_to_indexed_row(width, ds + a * h.keys + j, h.rows_of(i + a) + j, met.first, met.count,
                       products);
  if (to.wanted.k)
    cpu::gemm(false, false, width, h.d, met.count, 1.0f, products, met.count,
              h.of_run(queries, met), queries.stride, 1.0f, to.dk + j * h.d, h.d);
  if (to.query_positions)
    cpu::gemm(true, false, met.count, h.d, width, 1.0f, products, met.count, h.k.row(j), h.k.stride,
              1.0f, to.query_positions + met.first * h.d, h.d);
}

/// From ds[count, keys] of queries i .. i + count - 1, which nothing reads afterwards: `q` may
/// become its gradient. What is for k and positions is added.
void spread(const Head<float>& h, std::size_t i, std::size_t count, const float* ds,
            float* products, const HeadGradients& to) {
  if (to.wanted.k)
    cpu::gemm(true, false, h.keys, h.d, count, 1.0f, ds, h.keys, h.q.row(i), h.q.stride, 1.0f,
              to.dk, h.d);
  for (std::size_t a = 0; a < count; a += run_rows)
    spread_to_queries(h, i + a, std::min(run_rows, count - a), ds + a * h.keys, products, to);
  if (!h.relative.queries.data || !(to.wanted.k || to.query_positions)) return;
  for (std::size_t j = 0; j < h.keys; j += run_rows)
    spread_to_keys(h, i, count, j, ds, products, to);
}

void copy_head(const float* from, MatrixView<float> to) {
  for (std::size_t i = 0; i < to.rows; ++i)
    std::copy_n(from + i * to.columns, to.columns, to.row(i));
}

/// The sum over parts of sums[parts][heads][rows, head_dim], side by side.
void add_parts(const float* sums, std::size_t parts, const AttentionShape& shape,
               MatrixView<float> positions) {
  const std::size_t d = shape.head_dim, of_head = positions.rows * d;
  cpu::for_rows(positions.rows, [&](std::size_t r) {
    for (std::size_t h = 0; h < shape.heads; ++h) {
      float* const to = positions.row(r) + h * d;
      std::copy_n(sums + h * of_head + r * d, d, to);
      for (std::size_t part = 1; part < parts; ++part)
        add_row(d, sums + (part * shape.heads + h) * of_head + r * d, to);
    }
  });
}

}  // namespace

void CpuDevice::attend_relative(const AttentionShape& shape, const RelativeScores& relative,
                                MatrixView<const float> q, MatrixView<const float> k,
                                MatrixView<const float> v, const Dropout& dropout,
                                const AttentionTrace& trace, MatrixView<float> context) const {
  const std::size_t sequences = shape.key_starts.size() - 1;
  const Sizes sizes(shape, dropout);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * shape.heads; ++task) {
    const Head<const float> h(shape, relative, task / shape.heads, task % shape.heads, q, k, v);
    float* const scores = thread_scratch(relative_scores, sizes.scores);
    float* const products = thread_scratch(run_products, sizes.products);
    float* const keep = sizes.drawn ? thread_scratch(relative_factors, sizes.drawn) : nullptr;
    for (std::size_t begin = 0; begin < h.queries; begin += block_queries) {
      const std::size_t count = std::min(block_queries, h.queries - begin);
      h.form_scores(begin, count, products, scores);
      for (std::size_t i = 0; i < count; ++i) {
        const std::size_t row = (h.query + begin + i) * shape.heads + h.head;
        if (keep) {
          dropout.factors(row, h.keys, keep);
          if (trace) pack_kept(h.keys, keep, trace.kept_keys + row * trace.kept_stride);
        }
        const SoftmaxSums sums = softmax_row(h.keys, relative.scale, keep, scores + i * h.keys);
        if (trace) trace.sums[row] = sums;
      }
      cpu::gemm(false, false, count, h.d, h.keys, 1.0f, scores, h.keys, h.v.data, h.v.stride, 0.0f,
                context.row(h.query + begin) + h.column, context.stride);
    }
  }
}

void CpuDevice::attend_relative_backward(const AttentionShape& shape,
                                         const RelativeScores& relative, MatrixView<float> q,
                                         MatrixView<float> k, MatrixView<float> v,
                                         const Dropout& dropout, const AttentionTrace& trace,
                                         MatrixView<const float> d_context,
                                         AttentionGradients wanted, MatrixView<float> d_keys,
                                         MatrixView<float> d_queries) const {
  const std::size_t sequences = shape.key_starts.size() - 1, heads = shape.heads,
                    d = shape.head_dim, parts = std::min(sequences, most_parts);
  const Sizes sizes(shape, dropout);
  const auto sums_of = [&](MatrixView<float> positions, std::size_t slot) {
    return positions.data ? thread_scratch(slot, parts * heads * positions.rows * d) : nullptr;
  };
  float* const key_sums = sums_of(d_keys, key_position_sums);
  float* const query_sums = sums_of(d_queries, query_position_sums);
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < parts * heads; ++task) {
    const std::size_t part = task / heads;
    const auto own_sums = [&](float* sums, MatrixView<float> positions) {
      const std::size_t size = positions.rows * d;
      if (sums) std::fill_n(sums + task * size, size, 0.0f);
      return sums ? sums + task * size : nullptr;
    };
    HeadGradients to{thread_scratch(key_gradients, sizes.keys * d),
                     thread_scratch(value_gradients, sizes.keys * d), own_sums(key_sums, d_keys),
                     own_sums(query_sums, d_queries), wanted};
    float* const scores = thread_scratch(relative_scores, sizes.scores);
    float* const ds = thread_scratch(score_gradients, sizes.scores);
    float* const products = thread_scratch(run_products, sizes.products);
    float* const keep = sizes.drawn ? thread_scratch(relative_factors, sizes.drawn) : nullptr;
    for (std::size_t s = part * sequences / parts; s < (part + 1) * sequences / parts; ++s) {
      const Head<float> h(shape, relative, s, task % heads, q, k, v);
      std::fill_n(to.dk, h.keys * d, 0.0f);
      for (std::size_t begin = 0; begin < h.queries; begin += block_queries) {
        const std::size_t count = std::min(block_queries, h.queries - begin);
        const float* const d_rows = d_context.row(h.query + begin) + h.column;
        h.form_scores(begin, count, products, scores);
        cpu::gemm(false, true, count, h.keys, d, 1.0f, d_rows, d_context.stride, h.v.data,
                  h.v.stride, 0.0f, ds, h.keys);
        for (std::size_t i = 0; i < count; ++i) {
          const std::size_t row = (h.query + begin + i) * heads + h.head;
          if (keep)
            unpack_kept(h.keys, dropout.scale(), trace.kept_keys + row * trace.kept_stride, keep);
          softmax_backward_row(h.keys, relative.scale, trace.sums[row], keep, scores + i * h.keys,
                               ds + i * h.keys);
        }
        if (wanted.v)
          cpu::gemm(true, false, h.keys, d, count, 1.0f, scores, h.keys, d_rows, d_context.stride,
                    begin == 0 ? 0.0f : 1.0f, to.dv, d);
        spread(h, begin, count, ds, products, to);
      }
      if (wanted.k) copy_head(to.dk, h.k);
      if (wanted.v) copy_head(to.dv, h.v);
    }
  }
  if (key_sums) add_parts(key_sums, parts, shape, d_keys);
  if (query_sums) add_parts(query_sums, parts, shape, d_queries);
}

}  // namespace rankfold
