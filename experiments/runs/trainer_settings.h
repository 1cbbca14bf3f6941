#pragma once

#include <vector>

#include "experiments/runs/setting_spec.h"

namespace rankfold {

/// The settings of how a run is trained and scored that have come to the table of run_settings
/// since: no-decay, lr-head, lr-ratio, lr-end, lr-power, steps, accumulate, label-smoothing,
/// adapter-dropout, zo-epsilon, zo-samples, evaluate-every, keep, keep-by, patience,
/// checkpoint-every, checkpoint-steps.
std::vector<SettingSpec> trainer_settings();

}  // namespace rankfold
