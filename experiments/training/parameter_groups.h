#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "experiments/models/host.h"
#include "experiments/runs/settings.h"
#include "experiments/training/update_rule.h"

namespace rankfold {

/// What trained tensors do not have in common: rates and weight decay.
struct ParameterGroups {
  /// Tensors without weight decay: patterns of names (* any characters, ? one), or
  /// biases-and-norms: the host's norms, and what has "bias" in the name of its factor or tensor
  /// (what transformers' Trainer leaves out).
  std::vector<std::string> no_decay;
  double head_rate = 1;                        ///< of the host's head, as a factor
  std::map<std::string, double> factor_rates;  ///< by the factor's name (LoRA+: B), as factors
};

/// As the run's settings say: no-decay, lr-ratio, and lr-head over lr. Throws UsageError where
/// lr-ratio is no list of FACTOR=X with X positive.
ParameterGroups parameter_groups(const RunSettings& settings);

/// All that trains, with its rate and decay: the adapter's trainable factors, then the host's
/// tensors. Throws UsageError naming a factor of lr-ratio that the adapter does not have, or a name
/// (without * and ?) of no-decay that no tensor has.
std::vector<TrainedSpan> trained_spans(Adapter<float>& adapter, Host& host,
                                       const ParameterGroups& groups);

}  // namespace rankfold
