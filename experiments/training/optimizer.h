#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "core/device/device.h"
#include "experiments/runs/settings.h"
#include "experiments/training/parameter_groups.h"
#include "experiments/training/update_rule.h"
#include "experiments/training/zero_order_settings.h"

namespace rankfold {

enum class OptimizerKind { adamw, adam, sgd };

struct OptimizerSettings {
  OptimizerKind kind = OptimizerKind::adamw;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  ///< of AdamW and Adam
  double weight_decay = 0;
  ParameterGroups groups = {};
  std::optional<ZeroOrderSettings> zero_order = {};  ///< where gradients are not backpropagated
};

/// As the run's settings say: optimizer, beta1, beta2, epsilon, weight-decay, those of
/// parameter_groups, and of zo-sgd and zo-adam (SGD and Adam) zo-epsilon and zo-samples. Throws
/// UsageError as expect_read.
OptimizerSettings optimizer_settings(const RunSettings& settings);
/// Throws UsageError where a beta is outside [0, 1), the epsilon not positive, decay negative.
void check_optimizer(const OptimizerSettings& settings);

/// AdamW, Adam or SGD: updates trained tensors from their gradients. At step t = 1, 2, ... with lr
/// the rate times that of the tensor, and g the gradient times `gradient_scale`; `decay` is 0 for
/// tensors that do not decay:
///
///   AdamW  p *= 1 - lr decay;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
///          p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + epsilon)
///   Adam   g += decay p, then as AdamW without decay
///   SGD    p -= lr (g + decay p)
///
/// Decay is decoupled in AdamW and part of the gradient in the others, as in torch.optim. Element
/// by element, so the result does not depend on the number of threads.
/// Source: Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2.
class Optimizer final : public UpdateRule {
 public:
  /// The tensors' memory is that of `device`. Throws UsageError as check_optimizer.
  Optimizer(const OptimizerSettings& settings, std::vector<TrainedSpan> tensors,
            std::shared_ptr<const Device> device);

  /// True, whatever the numbers are.
  bool step(double learning_rate, double gradient_scale = 1) override;
  const std::vector<TrainedSpan>& tensors() const override { return tensors_; }
  void save(TrainingState& state) const override;
  void restore(const TrainingState& state) override;

 private:
  OptimizerSettings settings_;
  std::vector<TrainedSpan> tensors_;
  std::shared_ptr<const Device> device_;
  std::vector<Buffer<float>> first_moments_, second_moments_;  ///< of AdamW, Adam
  std::size_t steps_ = 0;
};

}  // namespace rankfold
