#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// A trained tensor as an update rule sees it: memory of a device, somebody else's, value and
/// gradient of one size (see HostRead and HostWrite).
struct TrainedSpan {
  std::string name;
  std::span<float> value, gradient;
};

class LowRankTraining;

/// How trained tensors follow their gradients, wherever those come from.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  /// Overwrites the values by one step along their gradients times `gradient_scale`; gradients stay
  /// as they are. False where a value is not finite and the rule cannot go on from it.
  virtual bool step(double learning_rate, double gradient_scale = 1) = 0;
  virtual const std::vector<TrainedSpan>& tensors() const = 0;
  /// The factors U, S, V of every site, where the rule keeps the update at low rank and chooses the
  /// ranks; null where every factor trains by itself.
  virtual const LowRankTraining* low_rank() const { return nullptr; }
};

/// The Euclidean norm of all gradients together, summed in double in a fixed order. Not finite
/// where any gradient is not.
double gradient_norm(const Device& device, std::span<const TrainedSpan> tensors);

/// What the gradients are multiplied with so that their norm is at most `limit`: limit / (norm +
/// 1e-6) where that is below 1, else 1 (as torch.nn.utils.clip_grad_norm_). Limit 0: no clipping.
double clip_scale(double norm, double limit);

}  // namespace rankfold
