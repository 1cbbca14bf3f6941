#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "experiments/runs/run_result.h"
#include "experiments/sweep/contents.h"
#include "experiments/sweep/run_costs.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {

enum class RunState {
  open,      ///< to be run: never started, half-written or failed before
  finished,  ///< run.json says done, with these settings
  diverged,  ///< run.json says diverged: it would again
  failed,    ///< its process failed in this sweep
  stopped    ///< by the user
};

/// What a sweep keeps of a run.json.
struct RunOutcome {
  std::string status, error;
  std::map<std::string, double> scores;
  std::size_t parameters = 0;  ///< of the adapter
  double train_seconds = 0;
  RunFingerprints fingerprints;
  std::string warmup_note = {};  ///< where no step had the full rate
};

/// One run of a sweep: where it is and how it stands. A sweep may have 1,000,000 of them, so that
/// each holds little.
struct SweepRun {
  RunSettings given;             ///< what its process is called with
  std::filesystem::path folder;  ///< below the sweep's --out
  RunState state = RunState::open;
  std::shared_ptr<const RunOutcome> result;  ///< of run.json; null where there is none
  std::string reason;                        ///< why it failed
  bool is_again = false;  ///< open, and its folder holds a finished run on other content
};

/// The canonical settings of a run.
RunSettings settings_of(const SweepRun& run, const Registry& registry,
                        KnownFolders* known = nullptr);

struct SweepPlan {
  std::vector<SweepRun> runs;
  RunCosts costs;                  ///< of the finished runs below `out`, whoever asked for them
  std::vector<std::string> notes;  ///< lines on what below `out` could not be read or compared
};

struct PlanOptions {
  bool rerun_changed = false;
  /// Nothing will run: a model that is no folder may be a built-in shape, and the data
  /// unknown_place (experiments/sweep/forecast.h).
  bool dry_run = false;
};

/// Checks every run (names, values, targets, ranks, shapes, folders) and gives it its folder: the
/// one that holds a run of its settings, wherever that is below `out`, else that of RunPaths. Runs
/// that cache features and name no folder for them share `<out>/.features`.
/// Runs are what they were made of, too: where the model or the rows under the paths of a finished
/// run are others by now, it is open again if the options ask for it, and else refused.
/// Nothing is written. Throws UsageError naming the run, or two runs that would share a folder;
/// Error where the folder of a model or data is missing, `out` holds a count sweep, a folder
/// holds a run of other settings, a finished run on the same model, data and task (of this sweep or
/// beside it) has other content, or something else lies in the place of a folder or a run.json.
SweepPlan plan_runs(std::vector<PlannedRun> runs, const std::filesystem::path& out,
                    const Registry& registry, Contents& contents, const PlanOptions& options = {});

struct TrainSweepOptions {
  std::vector<std::string> program;  ///< the executable and the words of every run's beginning
  std::vector<std::string> more;     ///< words that every run gets behind its settings
  std::vector<std::pair<std::string, std::string>> environment;
  std::size_t jobs = 1;
  /// What a run is to be made of; a result on other content is a failure. Asked for all open runs
  /// before the first is started.
  std::function<const RunFingerprints&(const RunSettings&)> content;
  std::function<void(const SweepRun&)> waits;  ///< another process works in its folder
  std::function<void(const SweepRun&)> ended;
};

/// Runs the open ones, each as a process `<program> --model ... --out <folder>` with its output in
/// the folder's log.txt, and updates their states. One that fails does not stop the others; one in
/// whose folder another process works (a run that a killed sweep left, a finetune) goes last and
/// waits for it, and has that one's result where it is the same. Writes `<out>/sweep.json` first,
/// unless it is there and says the same. False: stopped by a signal. Throws Error where `out`
/// cannot be written or another sweep works in it.
bool run_sweep(std::vector<SweepRun>& runs, const std::filesystem::path& out,
               const Registry& registry, const TrainSweepOptions& options);

}  // namespace rankfold
