#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace rankfold {

/// A trained tensor as the optimizer sees it: somebody else's memory, value and gradient of one
/// size.
struct TrainedSpan {
  std::string name;
  std::span<float> value, gradient;
};

enum class OptimizerKind { adamw, sgd };

struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of AdamW
  double weight_decay = 0;
};

/// Updates trained tensors from their gradients. At step t = 1, 2, ... with rate lr and g the
/// gradient times `gradient_scale`, for every tensor alike (biases included):
///
///   AdamW  p *= 1 - lr decay;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///          p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)
///   SGD    p -= lr (g + decay p)
///
/// Decay is decoupled in AdamW and part of the gradient in SGD, as in torch.optim. Element by
/// element, so the result does not depend on the number of threads.
/// Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
class Optimizer {
 public:
  /// Throws UsageError for a beta outside [0, 1), an epsilon that is not positive, negative decay.
  Optimizer(const OptimizerSettings& settings, std::vector<TrainedSpan> tensors);

  /// Overwrites the values; gradients stay as they are.
  void step(double learning_rate, double gradient_scale = 1);
  const std::vector<TrainedSpan>& tensors() const { return tensors_; }

 private:
  OptimizerSettings settings_;
  std::vector<TrainedSpan> tensors_;
  std::vector<std::vector<float>> first_moments_, second_moments_;
  std::size_t steps_ = 0;
};

/// The Euclidean norm of all gradients together, summed in double in a fixed order. Not finite
/// where any gradient is not.
double gradient_norm(std::span<const TrainedSpan> tensors);

/// What the gradients are multiplied with so that their norm is at most `limit`: limit / (norm +
/// 1e-6) where that is below 1, else 1 (as torch.nn.utils.clip_grad_norm_). Limit 0: no clipping.
double clip_scale(double norm, double limit);

}  // namespace rankfold
