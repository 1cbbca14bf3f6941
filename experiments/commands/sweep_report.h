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

/// Where a report of runs goes.
struct ReportPlace {
  const std::filesystem::path& out;  ///< of the sweep
  const Registry& registry;
  bool json;
  std::ostream& stream;
};

/// How long the open runs of a plan will take.
struct TimeEstimate {
  std::size_t known = 0, unknown = 0;  ///< runs
  double seconds = 0;                  ///< of training, of those that are known
};
TimeEstimate estimate(const SweepPlan& plan, std::size_t jobs, const Registry& registry);
/// "about 4:10 of training"; "time unknown: no finished run on this data"; "" where nothing is
/// open.
std::string estimate_text(const TimeEstimate& estimate);

/// --dry-run: the runs with their folders and what is known of them, their number, and the time.
void print_plan(const SweepPlan& plan, std::size_t jobs, const ReportPlace& place);
/// --dry-run of counts or fits: the settings, and their number.
void print_settings(const std::vector<PlannedRun>& runs, bool json, std::ostream& stream);
/// The results: task, model, method, rank, seed, parameters, main score.
void print_report(const std::vector<SweepRun>& runs, const ReportPlace& place);
/// "12 done, 1 diverged, 2 failed".
void print_totals(const std::vector<SweepRun>& runs, std::ostream& stream);

}  // namespace rankfold
