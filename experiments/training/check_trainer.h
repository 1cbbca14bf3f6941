#pragma once

#include "experiments/runs/settings.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// Throws UsageError for settings of a run that do not go together, as far as they tell it without
/// files: of optimizer, gradients, loss, rates, and of a run by prompt (see check_prompted), whose
/// model `tells_tokens`.
void check_trainer(const RunSettings& settings, const Task& task, bool tells_tokens);

}  // namespace rankfold
