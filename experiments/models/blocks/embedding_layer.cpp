#include "experiments/models/blocks/embedding_layer.h"

#include "core/adapter/frozen_product.h"
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
                             Arena& arena) const {
  if (!map_.weight) return embed(batch, pass, {}, x, arena.device());
  const ArenaScope scope(arena);
  const MatrixView<float> narrow = arena.take_matrix(x.rows, width_);
  embed(batch, pass, {}, narrow, arena.device());
  frozen_forward<float>(arena.device(), map_, narrow, x, Bias::add);
}

void EmbeddingLayer::backward(const Batch& batch, const EncoderPass& pass, MatrixView<float> dx,
                              Arena& arena) const {
  const ArenaScope scope(arena);
  if (map_.weight) {
    const MatrixView<float> d_narrow = arena.take_matrix(dx.rows, width_);
    frozen_backward<float>(arena.device(), map_, dx, d_narrow, Into::overwrite);
    dx = d_narrow;
  }
  const MatrixView<float> normalised = arena.take_matrix(dx.rows, width_);
  embed(batch, pass, normalised, arena.take_matrix(dx.rows, width_), arena.device());
  apply_dropout(dropout(pass), dx, arena.device());
  const WorkTimer timer(arena.device(), Work::elementwise);
  add_norm_gradients(norm_, dx, normalised, arena.device());
}

}  // namespace rankfold
