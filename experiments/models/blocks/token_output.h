#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"

namespace rankfold {

/// The head of a language model: logits = norm(x) W^T over a vocabulary, W frozen.
class TokenOutput {
 public:
  /// W is [vocabulary, hidden]. Products with it run in bfloat16 where asked for.
  TokenOutput(const float* weight, std::size_t vocabulary, std::size_t hidden,
              std::shared_ptr<const Device> device, bool bfloat16);

  std::size_t vocabulary() const { return linear_.site().out; }
  /// Logits [x.rows, vocabulary] of normalised rows; overwritten.
  void logits(MatrixView<const float> x, MatrixView<float> logits) const;

  /// The mean of -log softmax(logits)[label] over `rows` of x, whose labels these are. Where `dx`,
  /// of x's size, has memory it becomes dLoss/dx; a trained norm's gradients are added to. Logits
  /// exist for a block of rows at a time.
  double loss(const LayerNorm& norm, MatrixView<const float> x, std::span<const std::size_t> rows,
              std::span<const std::int32_t> labels, bool training, MatrixView<float> dx,
              Arena& arena) const;

 private:
  HostLinear linear_;
};

}  // namespace rankfold
