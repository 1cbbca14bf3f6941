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
                             Trace<float>* trace, Arena& arena) const {
  if (!map_) return embed(batch, pass, {}, x, arena.device());
  const ArenaScope scope(arena);
  const MatrixView<float> narrow = arena.take_matrix(x.rows, width_);
  embed(batch, pass, {}, narrow, arena.device());
  map_->forward(narrow, x, trace);
}

void EmbeddingLayer::backward(const Batch& batch, const EncoderPass& pass,
                              const Trace<float>& trace, MatrixView<float> dx, Arena& arena) const {
  const ArenaScope scope(arena);
  const MatrixView<float> normalised = arena.take_matrix(dx.rows, width_),
                          narrow = arena.take_matrix(dx.rows, width_);
  embed(batch, pass, normalised, narrow, arena.device());
  const bool norm_trains = norm_.weight_gradient;
  if (map_) {
    MatrixView<float> d_narrow(nullptr, dx.rows, width_);
    if (norm_trains) d_narrow = arena.take_matrix(dx.rows, width_);
    map_->backward(narrow, dx, trace, d_narrow, Into::overwrite);
    dx = d_narrow;
  }
  if (!norm_trains) return;
  apply_dropout(dropout(pass), dx, arena.device());
  const WorkTimer timer(arena.device(), Work::elementwise);
  add_norm_gradients(norm_, dx, normalised, arena.device());
}

}  // namespace rankfold
