#include "experiments/models/blocks/embedding_layer.h"

#include "core/device/work.h"

namespace rankfold {

void EmbeddingLayer::embed(const Batch& batch, const EncoderPass& pass,
                           MatrixView<float> normalised, MatrixView<float> x, Arena& arena) const {
  const Device& device = arena.device();
  const WorkTimer timer(device, Work::elementwise);
  EmbeddingTables tables = tables_;
  if (tables.positions) tables.positions += pass.virtual_keys.count * width_;
  const bool has_virtual(pass.virtual_tokens);
  device.embed(tables, batch.ids, batch.type_ids, pass.starts, norm_.weights(),
               has_virtual ? Dropout() : dropout(pass), normalised, x);
  if (!has_virtual) return;
  embed_virtual(pass, x, arena);
  apply_dropout(dropout(pass), x, device);
}

MatrixView<float> EmbeddingLayer::virtual_sums(const EncoderPass& pass, Arena& arena) const {
  const MatrixView<float>& rows = pass.virtual_tokens.rows;
  const MatrixView<float> sums = arena.take_matrix(rows.rows, width_);
  const Device& device = arena.device();
  device.fill_rows(tables_.types, sums);
  device.add_matrix(rows, sums);
  const auto first = static_cast<std::size_t>(tables_.padding + 1);
  if (tables_.positions)
    device.add_matrix(
        MatrixView<const float>(tables_.positions + first * width_, rows.rows, width_), sums);
  return sums;
}

void EmbeddingLayer::embed_virtual(const EncoderPass& pass, MatrixView<float> x,
                                   Arena& arena) const {
  const ArenaScope scope(arena);
  const MatrixView<float> sums = virtual_sums(pass, arena);
  normalise(norm_, sums, sums, arena.device());
  for (const std::size_t start : pass.starts.first(pass.sequences()))
    arena.device().copy_matrix(sums, {x.row(start), sums.rows, width_, x.stride});
}

void EmbeddingLayer::backward_virtual(const EncoderPass& pass, MatrixView<float> dx,
                                      Arena& arena) const {
  const ArenaScope scope(arena);
  const Device& device = arena.device();
  const WorkTimer timer(device, Work::elementwise);
  const MatrixView<float> sums = virtual_sums(pass, arena),
                          gradient = arena.take_matrix(sums.rows, width_);
  device.fill_rows(static_cast<const float*>(nullptr), gradient);
  for (const std::size_t start : pass.starts.first(pass.sequences())) {
    const MatrixView<float> rows(dx.row(start), sums.rows, width_, dx.stride);
    device.add_matrix(rows, gradient);
    device.fill_rows(static_cast<const float*>(nullptr), rows);
  }
  normalise_backward(norm_, gradient, sums, true, pass.virtual_tokens.gradient, device);
}

void EmbeddingLayer::forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
                             Trace<float>* trace, Arena& arena) const {
  if (!map_) return embed(batch, pass, {}, x, arena);
  const ArenaScope scope(arena);
  const MatrixView<float> narrow = arena.take_matrix(x.rows, width_);
  embed(batch, pass, {}, narrow, arena);
  map_->forward(narrow, x, trace);
}

void EmbeddingLayer::backward(const Batch& batch, const EncoderPass& pass,
                              const Trace<float>& trace, MatrixView<float> dx, Arena& arena) const {
  const ArenaScope scope(arena);
  const MatrixView<float> normalised = arena.take_matrix(dx.rows, width_),
                          narrow = arena.take_matrix(dx.rows, width_);
  embed(batch, pass, normalised, narrow, arena);
  const bool norm_trains = norm_.weight_gradient, reaches_norm = norm_trains || pass.virtual_tokens;
  if (map_) {
    MatrixView<float> d_narrow(nullptr, dx.rows, width_);
    if (reaches_norm) d_narrow = arena.take_matrix(dx.rows, width_);
    map_->backward(narrow, dx, trace, d_narrow, Into::overwrite);
    dx = d_narrow;
  }
  if (!reaches_norm) return;
  apply_dropout(dropout(pass), dx, arena.device());
  if (pass.virtual_tokens) backward_virtual(pass, dx, arena);
  if (!norm_trains) return;
  const WorkTimer timer(arena.device(), Work::elementwise);
  add_norm_gradients(norm_, dx, normalised, arena.device());
}

}  // namespace rankfold
