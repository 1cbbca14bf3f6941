#include "experiments/sweep/train_sweep.h"

#include <string.h>

#include <algorithm>
#include <optional>
#include <set>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/folder_lock.h"
#include "core/base/text.h"
#include "experiments/runs/run_file.h"
#include "experiments/sweep/processes.h"
#include "experiments/sweep/run_state.h"
#include "experiments/sweep/sweep_list.h"
#include "experiments/training/schedule.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> command_of(const SweepRun& run, const TrainSweepOptions& options) {
  std::vector<std::string> command = options.program;
  for (const SettingSpec& spec : run_settings()) {
    const auto value = run.given.values.find(spec.name);
    if (value != run.given.values.end()) command.push_back("--" + spec.name + "=" + value->second);
  }
  if (!run.given.options.empty()) command.push_back("--set");
  for (const auto& [name, value] : run.given.options) command.push_back(name + "=" + value);
  command.push_back("--out=" + run.folder.string());
  if (run.is_again) command.emplace_back("--force");
  command.insert(command.end(), options.more.begin(), options.more.end());
  return command;
}

/// The last line that a failed process wrote; "" where there is none.
std::string last_words(const fs::path& log) {
  try {
    return printable(last_line(log), 300);
  } catch (const Error&) {
    return "";
  }
}

std::string failure_of(const JobEnd& end, const fs::path& log) {
  if (!end.obstacle.empty()) return end.obstacle;
  if (end.signal != 0) {
    const char* meaning = ::sigdescr_np(end.signal);
    return fmt::format("ended by signal {} ({})", end.signal, meaning ? meaning : "unknown");
  }
  const std::string line = last_words(log);
  return line.empty() ? fmt::format("exit status {}", end.exit_status) : line;
}

/// The runs of a sweep as jobs.
class SweepJobs {
 public:
  SweepJobs(std::vector<SweepRun>& runs, const Registry& registry, const TrainSweepOptions& options)
      : runs_(runs), registry_(registry), options_(options) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].state != RunState::open) continue;
      open_.push_back(i);
      // Until its process says otherwise.
      runs[i].state = RunState::stopped;
      if (options.content) options.content(runs[i].given);
    }
  }

  std::size_t count() const { return open_.size(); }

  Turn prepare(std::size_t job, Job& process) {
    SweepRun& run = runs_[open_[job]];
    std::error_code failure;
    fs::create_directories(run.folder, failure);
    if (failure) {
      fail(run, fmt::format("{}: cannot be made: {}", printable(run.folder.string()),
                            failure.message()));
      return Turn::skip;
    }
    lock_.reset();
    try {
      lock_.emplace(run.folder);
    } catch (const FolderInUse&) {
      if (waited_for_.insert(job).second && options_.waits) options_.waits(run);
      return Turn::wait;
    } catch (const Error& error) {
      fail(run, error.what());
      return Turn::skip;
    }
    // Whoever was waited for may have done the same.
    std::string changed;
    if (waited_for_.contains(job) && take_result(run, changed)) {
      end(run);
      return Turn::skip;
    }
    process = {command_of(run, options_), run.folder / "log.txt", lock_->descriptor()};
    return Turn::run;
  }

  /// The process has the lock from now on.
  void started() { lock_.reset(); }

  void ended(const JobEnd& job_end) {
    SweepRun& run = runs_[open_[job_end.job]];
    const bool believable = job_end.obstacle.empty() && job_end.signal == 0;
    std::string changed;
    if (believable && take_result(run, changed) &&
        (job_end.exit_status == 0) == (run.state == RunState::finished))
      return end(run);
    if (!changed.empty()) return fail(run, changed + ": it was replaced while the sweep ran");
    if (!job_end.stopped) return fail(run, failure_of(job_end, run.folder / "log.txt"));
    run.state = RunState::stopped;
    end(run);
  }

 private:
  /// Whether the run's folder holds its result; `changed` says where it is on other content.
  bool take_result(SweepRun& run, std::string& changed) const {
    const std::optional<RunResult> result = find_run(run.folder);
    if (!result || result->status == "failed") return false;
    if (settings_text(identity(result->settings, registry_)) !=
        settings_text(identity(run.given, registry_)))
      return false;
    if (options_.content)
      changed = first_difference(options_.content(run.given), result->fingerprints);
    if (!changed.empty()) return false;
    run.result = outcome_of(*result);
    run.state = state_of(*run.result);
    return true;
  }

  void fail(SweepRun& run, const std::string& reason) {
    run.state = RunState::failed;
    run.reason = reason;
    end(run);
  }

  void end(const SweepRun& run) const {
    if (options_.ended) options_.ended(run);
  }

  std::vector<SweepRun>& runs_;
  const Registry& registry_;
  const TrainSweepOptions& options_;
  std::vector<std::size_t> open_;
  std::optional<FolderLock> lock_;  // of the job that is being started
  std::set<std::size_t> waited_for_;
};

}  // namespace

std::shared_ptr<const RunOutcome> outcome_of(const RunResult& result) {
  const auto told = std::ranges::find_if(
      result.notes, [](const std::string& note) { return note.starts_with(warmup_note_start); });
  return std::make_shared<const RunOutcome>(RunOutcome{
      result.status, result.error, result.scores, result.parameters.adapter, result.train_seconds,
      result.fingerprints, told == result.notes.end() ? std::string() : *told});
}

RunState state_of(const RunOutcome& outcome) {
  if (outcome.status == "done") return RunState::finished;
  return outcome.status == "diverged" ? RunState::diverged : RunState::open;
}

bool run_sweep(std::vector<SweepRun>& runs, const fs::path& out, const Registry& registry,
               const TrainSweepOptions& options) {
  std::error_code failure;
  fs::create_directories(out, failure);
  if (failure)
    throw Error("--out {}: cannot be made: {}", printable(out.string()), failure.message());
  const FolderLock lock(out);
  write_sweep_list(runs, out, registry);

  SweepJobs jobs(runs, registry, options);
  JobOptions job_options;
  job_options.at_a_time = options.jobs;
  job_options.environment = options.environment;
  job_options.prepare = [&](std::size_t job, Job& process) { return jobs.prepare(job, process); };
  job_options.started = [&](std::size_t) { jobs.started(); };
  job_options.ended = [&](const JobEnd& end) { jobs.ended(end); };
  return run_jobs(jobs.count(), job_options);
}

}  // namespace rankfold
