#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/adapter/method.h"
#include "core/linalg/low_rank_dynamics.h"
#include "experiments/training/update_rule.h"

namespace rankfold {

/// The method whose adapter the optimizer trains: the method itself, or for one with a truncation
/// the whole update dW[out, in] of every site, which LowRankTraining keeps at low rank.
Method trained_form(const Method& method);

/// Trains the factors U, S, V of a method with a truncation by the K, L and S steps. The adapter of
/// trained_form is the one attached to the host; a training step is
///
///   G = dLoss/d(dW) of every site, by one forward and backward;
///   the optimizer's step on dW, of whatever rule: A = dW - lr G with SGD, as published;
///   LowRankTraining::step: dW = U S V^T, the low-rank step towards A
///   (core/linalg/low_rank_dynamics.h).
///
/// One G serves all three steps, since the augmented bases stand for the same weights. It takes the
/// memory of dW and G (and AdamW's moments) a site, where gradients of K, L and S alone would take
/// two passes through the network a step. It lets AdamW keep its moments in the coordinates of the
/// weight, which stay when the bases turn; moments of K, L and S would be about bases of the past.
class LowRankTraining {
 public:
  /// Draws U, S, V as the method starts them and sets the adapter's dW by them. The adapter stays
  /// the caller's. Throws Error where the method's factors are not those that truncation asks for.
  LowRankTraining(const Method& method, const MethodSettings& settings, Adapter<float>& adapter,
                  std::uint64_t seed, std::shared_ptr<const Device> device);

  /// Takes dW as the optimizer left it to low rank again. False, and nothing changed from there on,
  /// where it holds numbers that are not finite.
  bool step();

  /// By site, as they are now.
  std::map<std::string, std::size_t> ranks() const;
  double mean_rank() const;
  /// Numbers in U, S and V of all sites: now, and the most that there were after any step.
  std::size_t parameter_count() const;
  std::size_t largest_parameter_count() const { return largest_; }
  /// Of steps that were taken before.
  void set_largest(std::size_t largest) { largest_ = largest; }

  /// U, S and V of all sites as `prefix` and their names in the state; and from there again, dW by
  /// them included. Throws Error naming what the state lacks or has in another size.
  void save(const std::string& prefix, TrainingState& state) const;
  void restore(const std::string& prefix, const TrainingState& state);

  /// Fills the factors of the method's adapter with these ranks.
  void store(Adapter<float>& adapter) const;

 private:
  void write_update(std::size_t site);

  double tolerance_;
  std::size_t most_;
  Adapter<float>& adapter_;
  std::shared_ptr<const Device> device_;
  std::vector<LowRankMatrix> sites_;
  std::vector<double> target_;
  std::size_t largest_ = 0;
};

/// Another rule's step on the whole updates, and LowRankTraining's after it.
class LowRankRule final : public UpdateRule {
 public:
  LowRankRule(std::unique_ptr<UpdateRule> whole, LowRankTraining low_rank)
      : whole_(std::move(whole)), low_rank_(std::move(low_rank)) {}

  bool step(double learning_rate, double gradient_scale = 1) override;
  const std::vector<TrainedSpan>& tensors() const override { return whole_->tensors(); }
  void save(TrainingState& state) const override;
  void restore(const TrainingState& state) override;
  const LowRankTraining* low_rank() const override { return &low_rank_; }
  LowRankTraining* low_rank() override { return &low_rank_; }

 private:
  std::unique_ptr<UpdateRule> whole_;
  LowRankTraining low_rank_;
};

}  // namespace rankfold
