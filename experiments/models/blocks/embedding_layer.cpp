#include "experiments/models/blocks/embedding_layer.h"

#include "core/device/work.h"

namespace rankfold {

void EmbeddingLayer::embed(const Batch& batch, const EncoderPass& pass,
                           MatrixView<float> normalised, MatrixView<float> x,
                           const Device& device) const {
  const WorkTimer timer(device, Work::elementwise);
  device.embed(tables_, batch.ids, batch.type_ids, pass.starts, norm_.weights(), dropout(pass),
               normalised, x);
}

void EmbeddingLayer::forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
                             const Device& device) const {
  embed(batch, pass, {}, x, device);
}

void EmbeddingLayer::backward(const Batch& batch, const EncoderPass& pass, MatrixView<float> dx,
                              Arena& arena) const {
  const ArenaScope scope(arena);
  const MatrixView<float> normalised = arena.take_matrix(dx.rows, hidden_);
  embed(batch, pass, normalised, arena.take_matrix(dx.rows, hidden_), arena.device());
  apply_dropout(dropout(pass), dx, arena.device());
  const WorkTimer timer(arena.device(), Work::elementwise);
  add_norm_gradients(norm_, dx, normalised, arena.device());
}

}  // namespace rankfold
