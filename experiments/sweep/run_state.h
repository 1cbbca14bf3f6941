#pragma once

#include <memory>

#include "experiments/sweep/train_sweep.h"

namespace rankfold {

/// What a sweep keeps of a result, and how its run stands by it.
std::shared_ptr<const RunOutcome> outcome_of(const RunResult& result);
RunState state_of(const RunOutcome& outcome);

}  // namespace rankfold
