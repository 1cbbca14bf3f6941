#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/method.h"
#include "experiments/models/host.h"
#include "experiments/runs/run_result.h"
#include "experiments/runs/settings.h"
#include "experiments/training/gradient_source.h"
#include "experiments/training/low_rank_training.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/training_state.h"
#include "experiments/training/update_rule.h"
#include "experiments/training/zero_order.h"

namespace rankfold {

/// What the settings of a run say of its host: dropout (none in zeroth order), label smoothing and
/// precision, whether all of it trains, and the seed of its head. Throws UsageError for dropout of network or adapter that
/// zeroth order would leave out.
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
  /// optimizer, of all others the optimizer. Throws UsageError as trained_spans and ZeroOrder, and
  /// where a method with a truncation should be trained by zeroth order or with rates of its
  /// factors, or where the adapter can have no dropout (Adapter::set_dropout).
  void begin(const OptimizerSettings& optimizer);

  /// Gradients of the batch's mean loss in the place of those of the step before; counts a step.
  /// Returns the loss.
  double form_gradients(const Batch& batch);
  /// Adds a batch to the step: gradients and the loss that is returned become those of the mean
  /// over all its batches, weighed by their sequences (of a language model by their labels). Only
  /// after form_gradients; throws Error where the source cannot accumulate.
  double add_gradients(const Batch& batch);
  /// gradient_norm of all that trains; where no gradients are formed, that of the projections.
  double norm() const;
  /// UpdateRule::step.
  bool update(double rate, double gradient_scale) { return rule_->step(rate, gradient_scale); }

  /// Steps whose gradients were formed.
  std::size_t steps() const { return steps_; }
  /// Passes through the network that they took.
  std::size_t forwards() const { return passes_ * gradients_->forwards_a_batch(); }
  /// Of the last zeroth-order step (ZeroOrder::projections); empty where gradients are
  /// backpropagated.
  std::span<const double> projections() const;
  /// A step whose projections another process found. Throws Error where the session is no
  /// zeroth-order one, or has other samples.
  void replay(std::span<const double> projections);

  /// All that later steps depend on, and what was counted; and from there again. Only after
  /// `begin`. Throws Error naming what the state lacks.
  void save(TrainingState& state) const;
  void restore(const TrainingState& state);
  /// What training has found so far, as `prefix` and names; and from there again. Counters and
  /// moments stay.
  void save_values(const std::string& prefix, TrainingState& state) const;
  void restore_values(const std::string& prefix, const TrainingState& state);

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
  ZeroOrder* zero_order_ = nullptr;  ///< the source, where it is that
  std::unique_ptr<UpdateRule> rule_;
  double adapter_dropout_;
  bool counts_network_ = false;  ///< among the adapter's parameters: it trains in its place
  std::size_t steps_ = 0, passes_ = 0;
  double loss_ = 0, weight_ = 0;  ///< of the step's batches so far
};

}  // namespace rankfold
