#include "experiments/models/blocks/token_embedding.h"

#include "core/device/work.h"

namespace rankfold {
namespace {

constexpr const char* dropout_place = "dropout/embeddings";

/// act(rows of the virtual tokens) for every sequence that has them.
template <class Act>
void for_virtual_rows(const DecoderPass& pass, MatrixView<float> x, const Act& act) {
  for (std::size_t s = 0; s < pass.sequences(); ++s)
    if (const std::size_t start = pass.starts[s]; pass.positions[start] == 0)
      act(MatrixView<float>(x.row(start), pass.virtual_tokens.rows.rows, x.columns, x.stride));
}

}  // namespace

void TokenEmbedding::forward(const Batch& batch, const DecoderPass& pass, MatrixView<float> x,
                             Arena& arena) const {
  const Device& device = arena.device();
  const WorkTimer timer(device, Work::elementwise);
  device.embed_tokens(words, positions, batch.ids, pass.positions, x);
  if (pass.virtual_tokens) {
    const ArenaScope scope(arena);
    const MatrixView<float>& rows = pass.virtual_tokens.rows;
    const MatrixView<float> sums = arena.take_matrix(rows.rows, rows.columns);
    device.copy_matrix(rows, sums);
    if (positions)
      device.add_matrix(MatrixView<const float>(positions, rows.rows, rows.columns), sums);
    for_virtual_rows(pass, x, [&](MatrixView<float> own) { device.copy_matrix(sums, own); });
  }
  device.apply_dropout(pass.dropout(dropout, dropout_place), x);
}

void TokenEmbedding::backward(const Batch& batch, const DecoderPass& pass, MatrixView<float> dx,
                              std::vector<std::size_t>& rows, const Device& device) const {
  const WorkTimer timer(device, Work::elementwise);
  device.apply_dropout(pass.dropout(dropout, dropout_place), dx);
  if (pass.virtual_tokens)
    for_virtual_rows(pass, dx, [&](MatrixView<float> own) {
      device.add_matrix(own, pass.virtual_tokens.gradient);
    });
  if (!gradients.words) return;
  rows.assign(batch.ids.begin(), batch.ids.end());
  add_to_table(dx, rows, gradients.padding, gradients.words, device);
  add_to_table(dx, pass.positions, -1, gradients.positions, device);
}

}  // namespace rankfold
