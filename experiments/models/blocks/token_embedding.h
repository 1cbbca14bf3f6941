#pragma once

#include <cstddef>
#include <vector>

#include "core/device/arena.h"
#include "experiments/models/blocks/decoder_pass.h"
#include "experiments/models/blocks/embedding_layer.h"
#include "experiments/models/host.h"

namespace rankfold {

/// x = dropout(words[id] + positions[position]), which may train. Virtual tokens, those that begin
/// every sequence whose positions count from 0, have learned rows in the place of words.
struct TokenEmbedding {
  const float* words = nullptr;      ///< [vocabulary, hidden]
  const float* positions = nullptr;  ///< [positions, hidden] where they are learned
  double dropout = 0;
  TableGradients gradients = {};

  /// Overwrites x [tokens, hidden].
  void forward(const Batch& batch, const DecoderPass& pass, MatrixView<float> x,
               Arena& arena) const;
  /// From dLoss/dx, which is used up: adds to the gradients of the tables, and of the pass's
  /// virtual tokens. `rows` are the caller's, to be kept over passes.
  void backward(const Batch& batch, const DecoderPass& pass, MatrixView<float> dx,
                std::vector<std::size_t>& rows, const Device& device) const;
};

}  // namespace rankfold
