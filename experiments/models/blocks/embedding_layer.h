#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/host.h"

namespace rankfold {

/// x = dropout(LN(word + type + position)), row by row, and where the tables are narrower than the
/// hidden states (ALBERT) x = map(dropout(LN(...))). Nothing is kept: sums are cheap to form again.
/// All weights are frozen; the norm may be replaced by a trained one.
class EmbeddingLayer {
 public:
  EmbeddingLayer() = default;
  /// Of tables of `width` columns; `map`, [hidden, width], has no weight where they are those of
  /// the hidden states. `place` addresses the dropout masks.
  EmbeddingLayer(const EmbeddingTables& tables, LayerNorm norm, std::size_t width, double dropout,
                 std::string place, FrozenLinear<float> map = {})
      : tables_(tables),
        norm_(std::move(norm)),
        width_(width),
        dropout_(dropout),
        place_(std::move(place)),
        map_(map) {}

  LayerNorm& norm() { return norm_; }
  std::size_t width() const { return width_; }

  /// x [tokens, hidden] is overwritten; the same again for the same pass.
  void forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
               Arena& arena) const;

  /// From dLoss/dx, which is used up: adds to the gradients of a trained norm.
  void backward(const Batch& batch, const EncoderPass& pass, MatrixView<float> dx,
                Arena& arena) const;

 private:
  /// `normalised` receives the normalised sums where it has memory.
  void embed(const Batch& batch, const EncoderPass& pass, MatrixView<float> normalised,
             MatrixView<float> x, const Device& device) const;
  Dropout dropout(const EncoderPass& pass) const { return pass.dropout(dropout_, place_); }

  EmbeddingTables tables_;
  LayerNorm norm_;
  std::size_t width_ = 0;
  double dropout_ = 0;
  std::string place_;
  FrozenLinear<float> map_;
};

}  // namespace rankfold
