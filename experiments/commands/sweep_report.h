#pragma once

#include <filesystem>
#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/train_sweep.h"

namespace rankfold {

/// "open", "done", ...
const char* state_name(RunState state);
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

/// The document `head` with the runs in it, a run at a time: there may be very many. `add` may add
/// to a run's.
void print_runs(
    const std::vector<SweepRun>& runs, const nlohmann::ordered_json& head, const ReportPlace& place,
    const std::function<void(std::size_t run, nlohmann::ordered_json& document)>& add = {});
/// --dry-run of fits: the settings, and their number.
void print_settings(const std::vector<PlannedRun>& runs, bool json, std::ostream& stream);
/// --dry-run of counts: the settings with what is counted, and their number.
void print_counts(const std::vector<CountRow>& rows, bool json, std::ostream& stream);
/// The results: task, model, method, rank, seed, parameters, main score.
void print_report(const std::vector<SweepRun>& runs, const ReportPlace& place);
/// "12 done, 1 diverged, 2 failed".
void print_totals(const std::vector<SweepRun>& runs, std::ostream& stream);

}  // namespace rankfold
