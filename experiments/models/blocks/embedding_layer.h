#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/device/arena.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/host.h"

namespace rankfold {

/// Frozen tensors of the embeddings; the norm's may be replaced by trained ones.
struct BertEmbeddings {
  const float* words = nullptr;      ///< [vocabulary, hidden]
  const float* positions = nullptr;  ///< [positions, hidden]
  const float* types = nullptr;      ///< [types, hidden]
  LayerNorm norm;
};

/// x = dropout(LN(word + type + position)), row by row. Nothing is kept: sums are cheap to form
/// again.
class EmbeddingLayer {
 public:
  EmbeddingLayer() = default;
  EmbeddingLayer(const BertEmbeddings& embeddings, std::size_t hidden, double dropout)
      : embeddings_(embeddings), hidden_(hidden), dropout_(dropout) {}

  LayerNorm& norm() { return embeddings_.norm; }

  /// x [tokens, hidden] is overwritten; the same again for the same pass.
  void forward(const Batch& batch, const EncoderPass& pass, MatrixView<float> x,
               Arena& arena) const;

  /// From dLoss/dx, which is used up: adds to the gradients of a trained norm.
  void backward(const Batch& batch, const EncoderPass& pass, MatrixView<float> dx,
                Arena& arena) const;

 private:
  /// `normalised` receives the normalised sums where it has memory.
  void embed(const Batch& batch, const EncoderPass& pass, MatrixView<float> normalised,
             MatrixView<float> x, Arena& arena) const;
  Dropout dropout(const EncoderPass& pass) const;

  BertEmbeddings embeddings_;
  std::size_t hidden_ = 0;
  double dropout_ = 0;
};

}  // namespace rankfold
