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

/// The head of a language model: logits = norm(x) W^T over a vocabulary, W frozen unless all trains.
class TokenOutput {
 public:
  /// W is [vocabulary, hidden]. Products with it run in bfloat16 where asked for.
  TokenOutput(const float* weight, std::size_t vocabulary, std::size_t hidden,
              std::shared_ptr<const Device> device, bool bfloat16);

  const float* weight() const { return linear_.frozen().weight; }
  /// Where the gradient of W goes, which then trains.
  void train(float* gradient) { linear_.train(gradient, nullptr); }
  std::size_t vocabulary() const { return linear_.site().out; }
  /// Logits [x.rows, vocabulary] of normalised rows; overwritten.
  void logits(MatrixView<const float> x, MatrixView<float> logits) const;

  /// losses[i] = -log softmax(logits)[labels[i]] of row rows[i] of x; a row may have several
  /// labels. Logits exist for a block of `rows` at a time, of other rows never.
  void losses(const LayerNorm& norm, MatrixView<const float> x, std::span<const std::size_t> rows,
              std::span<const std::int32_t> labels, std::span<double> losses, Arena& arena) const;
  /// The same, and the gradients of the sum of scales[i] losses[i]: where `dx`, of x's size, has
  /// memory it becomes that of x; a trained norm's are added to.
  void losses_and_gradients(const LayerNorm& norm, MatrixView<const float> x,
                            std::span<const std::size_t> rows, std::span<const std::int32_t> labels,
                            std::span<const float> scales, std::span<double> losses,
                            MatrixView<float> dx, Arena& arena) const;

 private:
  HostLinear linear_;
};

}  // namespace rankfold
