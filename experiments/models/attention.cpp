#include "experiments/models/attention.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "experiments/models/row_kernels.h"

namespace rankfold {
namespace {

/// The rows of one sequence and the columns of one head.
struct Piece {
  std::size_t sequence, head, query, queries, key, keys;
};

Piece piece(std::size_t task, std::size_t heads, const SequenceStarts& query_starts,
            const SequenceStarts& key_starts) {
  const std::size_t s = task / heads;
  return {s,
          task % heads,
          query_starts[s],
          query_starts[s + 1] - query_starts[s],
          key_starts[s],
          key_starts[s + 1] - key_starts[s]};
}

std::size_t longest(const SequenceStarts& starts) {
  std::size_t result = 0;
  for (std::size_t s = 0; s + 1 < starts.size(); ++s)
    result = std::max(result, starts[s + 1] - starts[s]);
  return result;
}

}  // namespace

Attention::Attention(std::size_t heads, std::size_t head_dim,
                     std::shared_ptr<const Backend> backend)
    : heads_(heads), head_dim_(head_dim), backend_(backend), scratch_(backend) {}

std::size_t Attention::reserve_scratch(const SequenceStarts& query_starts,
                                       const SequenceStarts& key_starts) {
  // Rounded to whole cache lines: threads share none.
  const std::size_t matrix = (longest(query_starts) * longest(key_starts) + 15) / 16 * 16;
  scratch_.reserve(2 * matrix * static_cast<std::size_t>(omp_get_max_threads()));
  return matrix;
}

void Attention::forward(MatrixView<const float> q, MatrixView<const float> k,
                        MatrixView<const float> v, const SequenceStarts& query_starts,
                        const SequenceStarts& key_starts, const Dropout& dropout,
                        AttentionTrace* trace, MatrixView<float> context) {
  const std::size_t sequences = key_starts.size() - 1, d = head_dim_;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  float* kept = nullptr;
  if (trace) {
    trace->offsets.assign(1, 0);
    for (std::size_t s = 0; s < sequences; ++s)
      trace->offsets.push_back(trace->offsets[s] + heads_ *
                                                       (query_starts[s + 1] - query_starts[s]) *
                                                       (key_starts[s + 1] - key_starts[s]));
    kept = trace->probabilities.reserve(trace->offsets.back());
  }
  const std::size_t matrix = reserve_scratch(query_starts, key_starts);
  const std::size_t most_keys = longest(key_starts);
  float* const scratch = scratch_.data();
#pragma omp parallel
  {
    float* const mine = scratch + 2 * matrix * static_cast<std::size_t>(omp_get_thread_num());
    std::vector<float> keep(Dropout::padded_width(most_keys));
#pragma omp for schedule(dynamic)
    for (std::size_t task = 0; task < sequences * heads_; ++task) {
      const Piece p = piece(task, heads_, query_starts, key_starts);
      const std::size_t column = p.head * d;
      float* scores =
          trace ? kept + trace->offsets[p.sequence] + p.head * p.queries * p.keys : mine;
      backend_->gemm(false, true, p.queries, p.keys, d, 1.0f, q.row(p.query) + column, q.stride,
                     k.row(p.key) + column, k.stride, 0.0f, scores, p.keys);
      float* weights = dropout.active() ? mine + matrix : scores;
      for (std::size_t i = 0; i < p.queries; ++i) {
        float* row = scores + i * p.keys;
        softmax_row(p.keys, scale, row);
        if (!dropout.active()) continue;
        dropout.factors((p.query + i) * heads_ + p.head, p.keys, keep.data());
        drop_probabilities(p.keys, keep.data(), row, weights + i * p.keys);
      }
      backend_->gemm(false, false, p.queries, d, p.keys, 1.0f, weights, p.keys,
                     v.row(p.key) + column, v.stride, 0.0f, context.row(p.query) + column,
                     context.stride);
    }
  }
}

void Attention::backward(MatrixView<const float> q, MatrixView<const float> k,
                         MatrixView<const float> v, const SequenceStarts& query_starts,
                         const SequenceStarts& key_starts, const Dropout& dropout,
                         AttentionTrace& trace, MatrixView<const float> d_context,
                         MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv) {
  const std::size_t sequences = key_starts.size() - 1, d = head_dim_;
  const float scale = 1.0f / std::sqrt(static_cast<float>(d));
  const float* const kept = trace.probabilities.data();
  const std::size_t matrix = reserve_scratch(query_starts, key_starts);
  float* const scratch = scratch_.data();
#pragma omp parallel for schedule(dynamic)
  for (std::size_t task = 0; task < sequences * heads_; ++task) {
    const Piece p = piece(task, heads_, query_starts, key_starts);
    const std::size_t column = p.head * d;
    const float* probabilities = kept + trace.offsets[p.sequence] + p.head * p.queries * p.keys;
    float* const ds = scratch + 2 * matrix * static_cast<std::size_t>(omp_get_thread_num());
    float* const dropped = ds + matrix;
    const float* d_rows = d_context.row(p.query) + column;
    if (dv.data) {
      const float* weights = probabilities;
      if (dropout.active()) {
        restore_dropped(p.queries * p.keys, dropout.scale(), probabilities, dropped);
        weights = dropped;
      }
      backend_->gemm(true, false, p.keys, d, p.queries, 1.0f, weights, p.keys, d_rows,
                     d_context.stride, 0.0f, dv.row(p.key) + column, dv.stride);
    }
    if (!dq.data && !dk.data) continue;
    backend_->gemm(false, true, p.queries, p.keys, d, 1.0f, d_rows, d_context.stride,
                   v.row(p.key) + column, v.stride, 0.0f, ds, p.keys);
    for (std::size_t i = 0; i < p.queries; ++i)
      softmax_backward_row(p.keys, scale, dropout.scale(), probabilities + i * p.keys,
                           ds + i * p.keys);
    if (dq.data)
      backend_->gemm(false, false, p.queries, d, p.keys, 1.0f, ds, p.keys, k.row(p.key) + column,
                     k.stride, 0.0f, dq.row(p.query) + column, dq.stride);
    if (dk.data)
      backend_->gemm(true, false, p.keys, d, p.queries, 1.0f, ds, p.keys, q.row(p.query) + column,
                     q.stride, 0.0f, dk.row(p.key) + column, dk.stride);
  }
}

}  // namespace rankfold
