#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "core/device/arena.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/host.h"

namespace rankfold {

/// x = dropout(LN(word + type + position)), row by row. Nothing is kept: sums are cheap to form
/// again. Tables and norm are frozen; the norm may be replaced by a trained one.
class EmbeddingLayer {
 public:
  EmbeddingLayer() = default;
  /// `place` addresses the dropout masks.
  EmbeddingLayer(const EmbeddingTables& tables, LayerNorm norm, std::size_t hidden, double dropout,
                 std::string place)
      : tables_(tables),
        norm_(std::move(norm)),
        hidden_(hidden),
        dropout_(dropout),
        place_(std::move(place)) {}

  LayerNorm& norm() { return norm_; }

  /// x [tokens, hidden] is overwritten; the same again for the same pass.
  void forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
               const Device& device) const;

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
  std::size_t hidden_ = 0;
  double dropout_ = 0;
  std::string place_;
};

}  // namespace rankfold
