#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/device/device.h"
#include "experiments/runs/settings.h"
#include "experiments/training/update_rule.h"

namespace rankfold {

enum class OptimizerKind { adamw, sgd };

struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of AdamW
  double weight_decay = 0;
};

/// As the run's settings say: optimizer, beta1, beta2, epsilon, weight-decay.
OptimizerSettings optimizer_settings(const RunSettings& settings);

/// AdamW or SGD: updates trained tensors from their gradients. At step t = 1, 2, ... with rate lr
/// and g the gradient times `gradient_scale`, for every tensor alike (biases included):
///
///   AdamW  p *= 1 - lr decay;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///          p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)
///   SGD    p -= lr (g + decay p)
///
/// Decay is decoupled in AdamW and part of the gradient in SGD, as in torch.optim. Element by
/// element, so the result does not depend on the number of threads.
/// Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
class Optimizer final : public UpdateRule {
 public:
  /// The tensors' memory is that of `device`. Throws UsageError for a beta outside [0, 1), an
  /// epsilon that is not positive, negative decay.
  Optimizer(const OptimizerSettings& settings, std::vector<TrainedSpan> tensors,
            std::shared_ptr<const Device> device);

  /// True, whatever the numbers are.
  bool step(double learning_rate, double gradient_scale = 1) override;
  const std::vector<TrainedSpan>& tensors() const override { return tensors_; }

 private:
  OptimizerSettings settings_;
  std::vector<TrainedSpan> tensors_;
  std::shared_ptr<const Device> device_;
  std::vector<Buffer<float>> first_moments_, second_moments_;  ///< of AdamW
  std::size_t steps_ = 0;
};

}  // namespace rankfold
