#include "experiments/models/blocks/embedding_layer.h"

#include <algorithm>
#include <span>

#include "core/device/row_kernels.h"
#include "core/device/thread_rows.h"
#include "core/device/work.h"

namespace rankfold {

Dropout EmbeddingLayer::dropout(const EncoderPass& pass) const {
  return pass.dropout(dropout_, "dropout/bert.embeddings");
}

void EmbeddingLayer::embed(const Batch& batch, const EncoderPass& pass,
                           MatrixView<float> normalised, MatrixView<float> x, Arena& arena) const {
  const WorkTimer timer(arena.device(), Work::elementwise);
  const ArenaScope scope(arena);
  const LayerNorm& norm = embeddings_.norm;
  const Dropout drop = dropout(pass);
  const std::span<float> zeros(arena.take(hidden_), hidden_), ones(arena.take(hidden_), hidden_);
  std::ranges::fill(zeros, 0.0f);
  std::ranges::fill(ones, 1.0f);
  const ThreadRows sums(arena, hidden_), factors(arena, Dropout::padded_width(hidden_));
  const SequenceStarts starts = pass.starts;
#pragma omp parallel for schedule(static)
  for (std::size_t s = 0; s < pass.sequences(); ++s)
    for (std::size_t t = starts[s]; t < starts[s + 1]; ++t) {
      const float* word = embeddings_.words + static_cast<std::size_t>(batch.ids[t]) * hidden_;
      const float* type = embeddings_.types + static_cast<std::size_t>(batch.type_ids[t]) * hidden_;
      float* sum = sums.mine();
      add_rows(hidden_, word, type, embeddings_.positions + (t - starts[s]) * hidden_, sum);
      add_and_normalise_row(hidden_, sum, zeros.data(), ones.data(), nullptr, norm.weight,
                            norm.shift, norm.epsilon, normalised.data ? normalised.row(t) : nullptr,
                            x.row(t));
      if (!drop.active()) continue;
      drop.factors(t, hidden_, factors.mine());
      multiply_row(hidden_, x.row(t), factors.mine(), x.row(t));
    }
}

void EmbeddingLayer::forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
                             Arena& arena) const {
  embed(batch, pass, {}, x, arena);
}

void EmbeddingLayer::backward(const Batch& batch, const EncoderPass& pass, MatrixView<float> dx,
                              Arena& arena) const {
  const ArenaScope scope(arena);
  const MatrixView<float> normalised = arena.take_matrix(dx.rows, hidden_);
  embed(batch, pass, normalised, arena.take_matrix(dx.rows, hidden_), arena);
  apply_dropout(dropout(pass), dx, arena);
  const WorkTimer timer(arena.device(), Work::elementwise);
  add_norm_gradients(embeddings_.norm, dx, normalised);
}

}  // namespace rankfold
