#pragma once

#include <cstddef>
#include <memory>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/dropout.h"

namespace rankfold {

/// Multi-head attention within packed sequences: context = dropout(softmax(Q K^T / sqrt(d)))
/// V by sequence and head, heads side by side in the columns, d columns a head. Queries may be a
/// part of the rows only (the pooled token of each sequence), so they have their own starts.
/// Probabilities are not kept: the backward forms them again. Decoders' is causal: AttentionShape.
class Attention {
 public:
  Attention(std::size_t heads, std::size_t head_dim, std::shared_ptr<const Device> device)
      : Attention(AttentionShape{heads, head_dim, {}, {}}, std::move(device)) {}
  /// Of a shape without its starts.
  Attention(const AttentionShape& shape, std::shared_ptr<const Device> device)
      : shape_(shape), device_(std::move(device)) {}

  /// Memory of the arena for what a forward keeps.
  AttentionTrace take_trace(SequenceStarts query_starts, SequenceStarts key_starts,
                            const Dropout& dropout, Arena& arena,
                            SequencePrefixes prefixes = {}) const;

  /// context [queries, heads * d] is overwritten; `trace` is filled, without memory where no
  /// backward follows.
  void forward(MatrixView<const float> q, MatrixView<const float> k, MatrixView<const float> v,
               SequenceStarts query_starts, SequenceStarts key_starts, const Dropout& dropout,
               const AttentionTrace& trace, MatrixView<float> context,
               SequencePrefixes prefixes = {}) const;

  /// q, k and v become their gradients in place; those not wanted are left as they are.
  void backward(MatrixView<float> q, MatrixView<float> k, MatrixView<float> v,
                SequenceStarts query_starts, SequenceStarts key_starts, const Dropout& dropout,
                const AttentionTrace& trace, MatrixView<const float> d_context,
                AttentionGradients wanted, SequencePrefixes prefixes = {}) const;

 private:
  AttentionShape shape_with(SequenceStarts query_starts, SequenceStarts key_starts,
                            SequencePrefixes prefixes) const;

  AttentionShape shape_;
  std::shared_ptr<const Device> device_;
};

}  // namespace rankfold
