#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/backend.h"
#include "experiments/models/dropout.h"
#include "experiments/models/memory.h"

namespace rankfold {

/// Packed sequences: rows starts[s] .. starts[s+1] of a matrix belong to sequence s.
using SequenceStarts = std::vector<std::size_t>;

/// What one attention keeps of its forward: softmax probabilities, those that dropout removed
/// marked by their sign; [queries, keys] a sequence and head.
struct AttentionTrace {
  explicit AttentionTrace(std::shared_ptr<const Backend> backend)
      : probabilities(std::move(backend)) {}
  Memory probabilities;
  std::vector<std::size_t> offsets;  ///< of each sequence
};

/// Multi-head self-attention within packed sequences: context = dropout(softmax(Q K^T / sqrt(d)))
/// V by sequence and head, heads side by side in the columns, d columns a head. Queries may be a
/// part of the rows only (the pooled token of each sequence), so they have their own starts.
class Attention {
 public:
  Attention(std::size_t heads, std::size_t head_dim, std::shared_ptr<const Backend> backend);

  /// context [queries, heads * d] is overwritten; `trace` where a backward follows, else null.
  void forward(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
               const SequenceStarts& query_starts, const SequenceStarts& key_starts,
               const Dropout& dropout, AttentionTrace* trace, MatrixView<float> context);

  /// Overwrites dq, dk, dv; each is skipped where its data is null.
  void backward(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
                const SequenceStarts& query_starts, const SequenceStarts& key_starts,
                const Dropout& dropout, AttentionTrace& trace, MatrixView<const float> d_context,
                MatrixView<float> dq, MatrixView<float> dk, MatrixView<float> dv);

 private:
  /// Two score matrices of the longest sequence a thread; returns the size of one.
  std::size_t reserve_scratch(const SequenceStarts& query_starts, const SequenceStarts& key_starts);

  std::size_t heads_, head_dim_;
  std::shared_ptr<const Backend> backend_;
  Memory scratch_;
};

}  // namespace rankfold
