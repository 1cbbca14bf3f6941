#include "experiments/models/blocks/embedding_layer.h"

#include <algorithm>

#include "core/device/work.h"

namespace rankfold {
namespace {

/// As many rows as are read.
template <class T>
MatrixView<T> table_of(T* values, std::span<const std::size_t> rows, std::size_t width) {
  return {values, rows.empty() ? 0 : *std::ranges::max_element(rows) + 1, width};
}

}  // namespace

void add_to_table(MatrixView<const float> d, std::span<const std::size_t> rows,
                  std::int32_t left_out, float* gradient, const Device& device) {
  if (!gradient) return;
  const MatrixView<float> table = table_of(gradient, rows, d.columns);
  const auto unread = static_cast<std::size_t>(left_out);
  for (std::size_t begin = 0, end = 0; begin < rows.size(); begin = end + 1) {
    end = begin;
    while (end < rows.size() && rows[end] != unread) ++end;
    device.add_to_rows({d.row(begin), end - begin, d.columns, d.stride},
                       rows.subspan(begin, end - begin), table);
  }
}

void EmbeddingLayer::find_rows(const Batch& batch, TableRows& rows) const {
  rows.words.assign(batch.ids.begin(), batch.ids.end());
  rows.types.assign(batch.type_ids.begin(), batch.type_ids.end());
  rows.positions.resize(batch.tokens());
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    auto next = static_cast<std::size_t>(tables_.padding + 1);
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t)
      rows.positions[t] =
          batch.ids[t] == tables_.padding ? static_cast<std::size_t>(tables_.padding) : next++;
  }
}

/// What the norm reads; `scratch` is of the same size.
void EmbeddingLayer::form_sums(const Batch& batch, const TableRows& rows, MatrixView<float> sums,
                               MatrixView<float> scratch, const Device& device) const {
  device.embed_tokens(tables_.words, tables_.positions, batch.ids, rows.positions, sums);
  if (!tables_.types) return;
  device.gather_rows(table_of(tables_.types, rows.types, width_), rows.types, scratch);
  device.add_matrix(scratch, sums);
}

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
                              const Trace<float>& trace, MatrixView<float> dx, TableRows& rows,
                              Arena& arena) const {
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
  const Device& device = arena.device();
  apply_dropout(dropout(pass), dx, device);
  if (!gradients_.words) {
    const WorkTimer timer(device, Work::elementwise);
    return add_norm_gradients(norm_, dx, normalised, device);
  }
  find_rows(batch, rows);
  form_sums(batch, rows, normalised, narrow, device);
  normalise_backward(norm_, dx, normalised, false, dx, device);
  const WorkTimer timer(device, Work::elementwise);
  add_to_table(dx, rows.words, gradients_.padding, gradients_.words, device);
  add_to_table(dx, rows.positions, tables_.padding, gradients_.positions, device);
  add_to_table(dx, rows.types, -1, gradients_.types, device);
}

}  // namespace rankfold
