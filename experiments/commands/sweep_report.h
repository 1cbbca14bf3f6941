#pragma once

#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/train_sweep.h"

namespace rankfold {

/// "accuracy 0.9123, 35.1 s", "diverged (the loss at step 3 is not finite)".
std::string result_text(const SweepRun& run);

/// --dry-run: the runs with their folders and what is known of them, and their number.
void print_plan(const std::vector<SweepRun>& runs, const std::filesystem::path& out, bool json,
                std::ostream& stream);
/// --dry-run of counts or fits: the settings, and their number.
void print_settings(const std::vector<PlannedRun>& runs, bool json, std::ostream& stream);
/// The results: task, model, method, rank, seed, parameters, main score.
void print_report(const std::vector<SweepRun>& runs, const std::filesystem::path& out, bool json,
                  std::ostream& stream);
/// "12 done, 1 diverged, 2 failed".
void print_totals(const std::vector<SweepRun>& runs, std::ostream& stream);

}  // namespace rankfold
