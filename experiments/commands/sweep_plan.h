#pragma once

#include <cstddef>

#include "experiments/commands/sweep_report.h"
#include "experiments/sweep/forecast.h"

namespace rankfold {

/// --dry-run: the runs by groups of which equal things are known, with their folders (what varies
/// within a group as name=*), parameters, epochs, steps, forward passes of zeroth order, and time;
/// their number, and how long the open ones will train: by finished runs where there are such ones,
/// else at least so long. In JSON each run by itself.
void print_plan(const SweepPlan& plan, std::size_t jobs, Forecaster& forecaster,
                const ReportPlace& place);

}  // namespace rankfold
