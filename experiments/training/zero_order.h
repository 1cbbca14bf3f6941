#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/base/random.h"
#include "experiments/training/gradient_source.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/update_rule.h"
#include "experiments/training/zero_order_settings.h"

namespace rankfold {

/// Gradients from values of the loss alone (SPSA): with z_q standard normal over all that trains,
/// q = 1 .. samples, and L the mean loss over the batch without dropout,
///
///   g_q = (L(p + epsilon z_q) - L(p - epsilon z_q)) / (2 epsilon)      the projected gradients
///   G = mean over q of g_q z_q                            a gradient whose mean is dL/dp, to
///   O(epsilon^2)
///
/// z is never stored: it is drawn again, where it is needed, from a stream addressed by (seed,
/// "zeroth-order/<tensor>", step * samples + q). An exact copy of the values lies where the
/// gradients go, and comes back after the last pass, so that nothing drifts; there is no more
/// memory than values, gradients and a forward pass take. What leaves the layers below all that
/// trains is computed once for all passes of a step.
/// Source: Malladi, Gao, Nichani, Damian, Lee, Chen, Arora, "Fine-tuning language models with just
/// forward passes", 2023 (MeZO), algorithm 1 and section 2.2; Spall, 1992.
class ZeroOrder final : public GradientSource {
 public:
  /// `forms`: whether G goes into the gradients; else they are used up. Throws UsageError where
  /// epsilon is below what moves a float (setting_limits) or there are no samples.
  ZeroOrder(const ZeroOrderSettings& settings, std::vector<TrainedSpan> tensors,
            std::shared_ptr<const Device> device, bool forms);

  /// Returns the mean of the losses of all passes.
  double form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch, std::uint64_t seed,
                        std::uint64_t step) override;
  bool can_accumulate() const override { return false; }
  bool forms_gradients() const override { return forms_; }
  std::size_t forwards_a_batch() const override { return 2 * settings_.samples; }

  /// Of the last step: g_q / samples, whose sum times z is G.
  const std::vector<double>& projections() const { return projections_; }
  /// Takes what another process found for a step in place of form_gradients, whose bits follow.
  /// Throws Error where there are not `samples` projections.
  void replay(std::span<const double> projections, std::uint64_t seed, std::uint64_t step);

  /// keep value - rate G of one tensor, into the value.
  void descend(const TrainedSpan& tensor, double keep, double rate) const;
  const std::vector<TrainedSpan>& tensors() const { return tensors_; }

 private:
  RandomStream stream(const TrainedSpan& tensor, std::size_t sample) const;
  void perturb(std::size_t sample, double scale) const;
  void reflect() const;
  void write_gradients() const;
  const Batch& with_features(Host& host, const Batch& batch);

  ZeroOrderSettings settings_;
  std::vector<TrainedSpan> tensors_;
  std::shared_ptr<const Device> device_;
  bool forms_;
  std::uint64_t seed_ = 0, step_ = 0;  ///< of the last step
  std::vector<double> projections_;
  std::vector<float> features_;
  Batch shared_;
};

/// ZO-SGD: p = (1 - lr decay) p - lr G, with z drawn again and no gradient formed.
class ZeroOrderSgd final : public UpdateRule {
 public:
  /// The source outlives the rule.
  ZeroOrderSgd(const ZeroOrder& source, double weight_decay)
      : source_(source), weight_decay_(weight_decay) {}

  bool step(double learning_rate, double gradient_scale = 1) override;
  const std::vector<TrainedSpan>& tensors() const override { return source_.tensors(); }
  void save(TrainingState&) const override {}
  void restore(const TrainingState&) override {}

 private:
  const ZeroOrder& source_;
  double weight_decay_;
};

}  // namespace rankfold
