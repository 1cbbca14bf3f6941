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
  double rate = 1;     ///< times the scheduled rate
  bool decays = true;  ///< whether weight decay acts on it
};

class LowRankTraining;
struct TrainingState;

/// How trained tensors follow their gradients, wherever those come from.
class UpdateRule {
 public:
  virtual ~UpdateRule() = default;

  /// Overwrites the values by one step along their gradients times `gradient_scale`; gradients stay
  /// as they are. False where a value is not finite and the rule cannot go on from it.
  virtual bool step(double learning_rate, double gradient_scale = 1) = 0;
  virtual const std::vector<TrainedSpan>& tensors() const = 0;
  /// What the rule keeps between steps, beside the values, into the state and from it again: then
  /// it goes on with the same bits. Throws Error naming what the state lacks.
  virtual void save(TrainingState& state) const = 0;
  virtual void restore(const TrainingState& state) = 0;
  /// The factors U, S, V of every site, where the rule keeps the update at low rank and chooses the
  /// ranks; null where every factor trains by itself.
  virtual const LowRankTraining* low_rank() const { return nullptr; }
  virtual LowRankTraining* low_rank() { return nullptr; }
};

/// The tensors' values as `prefix` and their names in the state, and from there again.
void save_values(const Device& device, std::span<const TrainedSpan> tensors,
                 const std::string& prefix, TrainingState& state);
void restore_values(const Device& device, std::span<const TrainedSpan> tensors,
                    const std::string& prefix, const TrainingState& state);

/// The Euclidean norm of all gradients together, summed in double in a fixed order. Not finite
/// where any gradient is not.
double gradient_norm(const Device& device, std::span<const TrainedSpan> tensors);

/// What the gradients are multiplied with so that their norm is at most `limit`: limit / (norm +
/// 1e-6) where that is below 1, else 1 (as torch.nn.utils.clip_grad_norm_). Limit 0: no clipping.
double clip_scale(double norm, double limit);

}  // namespace rankfold
