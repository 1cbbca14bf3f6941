#pragma once

#include "core/device/arena.h"
#include "experiments/models/blocks/decoder_pass.h"
#include "experiments/models/host.h"

namespace rankfold {

/// x = dropout(words[id] + positions[position]), all frozen. Virtual tokens, those that begin every
/// sequence whose positions count from 0, have learned rows in the place of words.
struct TokenEmbedding {
  const float* words = nullptr;      ///< [vocabulary, hidden]
  const float* positions = nullptr;  ///< [positions, hidden] where they are learned
  double dropout = 0;

  /// Overwrites x [tokens, hidden].
  void forward(const Batch& batch, const DecoderPass& pass, MatrixView<float> x,
               Arena& arena) const;
  /// From dLoss/dx, which is used up: adds to the gradient of the pass's virtual tokens.
  void backward(const DecoderPass& pass, MatrixView<float> dx, const Device& device) const;
};

}  // namespace rankfold
