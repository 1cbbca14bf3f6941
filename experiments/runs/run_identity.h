#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "experiments/runs/result_row.h"
#include "experiments/runs/run_selection.h"

namespace rankfold {

/// The one rule of what tells runs apart, for rows of any source, put together. Two runs are the
/// same where task, model, method, rank, layers, rows trained on, all settings, the metric and the
/// seed agree; lines of tables and figures are made of runs that differ in nothing but the seed.
///
/// - Settings that a run.json lacks and others tell get the program's defaults; others are "".
/// - A run that diverged has the metric of its task's other runs.
/// - Models and data folders are told apart by the fingerprints of what was read, where run.json
///   has them, else by their paths; those of one name get as much of the path as tells them apart.
/// - `selection` picks.
/// - The same run told several times with the same result counts once, and is noted.
///
/// Returns the positions of the runs that count, in order, and adds to `notes`. Throws UsageError
/// for a key of the selection that no run has (with the nearest) or a value that none has; Error
/// naming both places where the same run has two results.
std::vector<std::size_t> settle_runs(const std::vector<RunView>& runs,
                                     const RunSelection& selection,
                                     std::vector<std::string>& notes);

/// The same for rows alone; those that do not count are dropped.
void settle_results(Results& results, const RunSelection& selection = {});

}  // namespace rankfold
