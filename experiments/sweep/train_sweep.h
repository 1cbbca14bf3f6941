#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/method.h"
#include "experiments/sweep/sweep.h"
#include "experiments/training/run_result.h"

namespace rankfold {

enum class RunState {
  open,      ///< to be run: never started, half-written or failed before
  finished,  ///< run.json says done, with these settings
  diverged,  ///< run.json says diverged: it would again
  failed,    ///< its process failed in this sweep
  stopped    ///< by the user
};

/// One run of a sweep: where it is and how it stands.
struct SweepRun {
  RunSettings given;             ///< what its process is called with
  RunSettings settings;          ///< canonical
  std::filesystem::path folder;  ///< below the sweep's --out
  RunState state = RunState::open;
  std::optional<RunResult> result;  ///< of run.json
  std::string reason;               ///< why it failed
};

/// Checks every run (names, values, targets, ranks, shapes, folders) and gives it its folder: the
/// one that holds a run of its settings, wherever that is below `out`, else that of run_paths. Runs
/// that cache features and name no folder for them share `<out>/.features`.
/// Nothing is written. Throws UsageError naming the run, or two runs that would share a folder;
/// Error where the folder of a model or data is missing, `out` holds a count sweep, or a folder
/// holds a run of other settings.
std::vector<SweepRun> plan_runs(const std::vector<PlannedRun>& runs,
                                const std::filesystem::path& out, const Registry& registry);

struct TrainSweepOptions {
  std::vector<std::string> program;  ///< the executable and the words of every run's beginning
  std::vector<std::string> more;     ///< words that every run gets behind its settings
  std::vector<std::pair<std::string, std::string>> environment;
  std::size_t jobs = 1;
  std::function<void(const SweepRun&)> ended;
};

/// Runs the open ones, each as a process `<program> --model ... --out <folder>` with its output in
/// the folder's log.txt, and updates their states. One that fails does not stop the others. Writes
/// `<out>/sweep.json` first. False: stopped by a signal. Throws Error where `out` cannot be written
/// or another sweep works in it.
bool run_sweep(std::vector<SweepRun>& runs, const std::filesystem::path& out,
               const TrainSweepOptions& options);

/// sweep.json: kind, and the settings (as in run.json) and folder of every run: first those of the
/// sweep.json in `out` whose folders are still there and that this sweep does not have, then this
/// sweep's in order.
std::string sweep_json(const std::vector<SweepRun>& runs, const std::filesystem::path& out);

}  // namespace rankfold
