#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/method.h"
#include "experiments/models/host.h"
#include "experiments/runs/run_result.h"
#include "experiments/runs/settings.h"
#include "experiments/training/gradient_source.h"
#include "experiments/training/low_rank_training.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/update_rule.h"

namespace rankfold {

/// What the settings of a run say of its host: dropout and precision, and the seed of its head.
HostSettings host_settings(const RunSettings& settings, std::uint64_t seed);

/// A host with an adapter attached, where their gradients come from, and the rule that they are
/// updated by: what every training step needs, whoever takes it.
///
///   TrainingSession session(std::move(host), method, settings, seed, device, told);
///   session.begin(optimizer_settings(settings));
///   for (...) {
///     session.form_gradients(batch);
///     session.update(rate, clip_scale(session.norm(), clip));
///   }
class TrainingSession {
 public:
  /// Chooses the sites, completes the method's settings and makes its adapter, whose factors are
  /// zeros until `begin`. `told` gets Method::notes before the adapter is made. The method outlives
  /// the session. Throws UsageError as select_stack and resolve_settings, Error as make_adapter.
  TrainingSession(std::unique_ptr<Host> host, const Method& method, const RunSettings& settings,
                  std::uint64_t seed, std::shared_ptr<const Device> device,
                  const std::function<void(const std::vector<std::string>&)>& told);

  /// Starts the factors, some of which read the frozen weights or the adapter's samples (see
  /// Adapter::set_samples), and the rule: of a method with a truncation LowRankRule over the
  /// optimizer, of all others the optimizer.
  void begin(const OptimizerSettings& optimizer);

  /// Gradients of the batch's mean loss in the place of those of the step before; counts a step.
  /// Returns the loss.
  double form_gradients(const Batch& batch);
  /// gradient_norm of all that trains.
  double norm() const { return gradient_norm(*device_, rule_->tensors()); }
  /// UpdateRule::step.
  bool update(double rate, double gradient_scale) { return rule_->step(rate, gradient_scale); }

  /// Steps whose gradients were formed.
  std::size_t steps() const { return steps_; }
  const Stack& stack() const { return adapter_->stack(); }
  const MethodSettings& method_settings() const { return method_settings_; }
  const Device& device() const { return *device_; }
  Host& host() { return *host_; }
  const Host& host() const { return *host_; }
  Adapter<float>& adapter() { return *adapter_; }
  const Adapter<float>& adapter() const { return *adapter_; }
  const std::vector<TrainedSpan>& tensors() const { return rule_->tensors(); }
  /// As they are now, of what is stored: where ranks adapt, they change.
  ParameterCounts parameters() const;
  /// Where ranks adapt; else null.
  const LowRankTraining* low_rank() const { return rule_->low_rank(); }

 private:
  const Method& method_;
  std::uint64_t seed_;
  std::shared_ptr<const Device> device_;
  MethodSettings method_settings_;
  // The host refers to the adapter, so it goes first.
  std::unique_ptr<Adapter<float>> adapter_;
  std::unique_ptr<Host> host_;
  std::unique_ptr<GradientSource> gradients_;
  std::unique_ptr<UpdateRule> rule_;
  std::size_t steps_ = 0;
};

}  // namespace rankfold
