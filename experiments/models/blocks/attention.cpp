#include "experiments/models/blocks/attention.h"

#include <algorithm>

#include "core/device/work.h"

namespace rankfold {

AttentionTrace Attention::take_trace(SequenceStarts query_starts, SequenceStarts key_starts,
                                     const Dropout& dropout, Arena& arena,
                                     SequencePrefixes prefixes) const {
  const std::size_t rows = query_starts.back() * shape_.heads;
  AttentionTrace trace;
  trace.sums =
      reinterpret_cast<SoftmaxSums*>(arena.take(rows * sizeof(SoftmaxSums) / sizeof(float)));
  if (!dropout.active()) return trace;
  const AttentionShape shape = shape_with(query_starts, key_starts, prefixes);
  std::size_t longest = 0;
  for (std::size_t s = 0; s < shape.sequences(); ++s) longest = std::max(longest, shape.keys(s));
  trace.kept_stride = kept_bytes(longest);
  trace.kept_keys =
      reinterpret_cast<unsigned char*>(arena.take(rows * trace.kept_stride / sizeof(float)));
  return trace;
}

AttentionShape Attention::shape_with(SequenceStarts query_starts, SequenceStarts key_starts,
                                     SequencePrefixes prefixes) const {
  AttentionShape shape = shape_;
  shape.query_starts = query_starts;
  shape.key_starts = key_starts;
  shape.prefixes = prefixes;
  return shape;
}

void Attention::forward(MatrixView<const float> q, MatrixView<const float> k,
                        MatrixView<const float> v, SequenceStarts query_starts,
                        SequenceStarts key_starts, const Dropout& dropout,
                        const AttentionTrace& trace, MatrixView<float> context,
                        SequencePrefixes prefixes) const {
  const WorkTimer timer(*device_, Work::attention);
  device_->attend(shape_with(query_starts, key_starts, prefixes), q, k, v, dropout, trace, context);
}

void Attention::backward(MatrixView<float> q, MatrixView<float> k, MatrixView<float> v,
                         SequenceStarts query_starts, SequenceStarts key_starts,
                         const Dropout& dropout, const AttentionTrace& trace,
                         MatrixView<const float> d_context, AttentionGradients wanted,
                         SequencePrefixes prefixes) const {
  const WorkTimer timer(*device_, Work::attention);
  device_->attend_backward(shape_with(query_starts, key_starts, prefixes), q, k, v, dropout, trace,
                           d_context, wanted);
}

}  // namespace rankfold
