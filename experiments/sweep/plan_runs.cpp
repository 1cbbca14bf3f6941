#include <array>
#include <map>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/models/config_file.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/trained_parts.h"
#include "experiments/runs/run_paths.h"
#include "experiments/runs/unread_settings.h"
#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/forecast.h"
#include "experiments/sweep/run_state.h"
#include "experiments/sweep/shape_store.h"
#include "experiments/sweep/train_sweep.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"
#include "experiments/training/check_trainer.h"
#include "experiments/training/feature_cache.h"
#include "experiments/training/run_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

bool caches_features(const RunSettings& settings) {
  return settings.text("cache-features") == "true";
}

bool has_dropout(const RunSettings& settings) {
  if (!settings.text("dropout").empty()) return settings.number("dropout") > 0;
  const ConfigFile config(fs::path(settings.text("model")) / "config.json");
  return config.number("hidden_dropout_prob", 0, 1, 0.1) > 0 ||
         config.number("attention_probs_dropout_prob", 0, 1, 0.1) > 0;
}

/// What the run's host would say, from the model's shape alone.
void check_features(const RunSettings& settings, const Method& method, ShapeStore& store) {
  if (!caches_features(settings)) return;
  const std::string& model = settings.text("model");
  const std::size_t layers = store.shape(model).layers;
  std::size_t frozen = layers - 1;
  if (method.adapts_sites) frozen = store.stack(method, settings).layers.front();
  check_cacheable(settings, method, frozen, has_dropout(settings));
}

/// A dry run needs no weights, and knows a shape by its name.
bool is_shape_alone(const std::string& model, bool dry_run) {
  std::error_code failure;
  return dry_run && !fs::is_directory(model, failure);
}

/// A model that cannot be read is refused by RunChecks, with the run.
void fill_from_model(RunSettings& settings, const Registry& registry, ShapeStore& store) {
  fill_table(settings);
  const std::string& model = settings.text("model");
  try {
    const Method& method = registry.at(settings.text("method"));
    fill_scoring(settings, store.tells_tokens(model),
                 positions_left(settings, method, store.shape(model).positions));
  } catch (const Error&) {
  }
}

/// What a run is checked by, as one text: expand has checked all settings by themselves. Seeds and
/// where features lie are not among it.
std::string checked_text(const PlannedRun& run) {
  RunSettings checked = run.settings;
  for (const SettingSpec& spec : run_settings())
    if (spec.incidental || spec.place == SettingPlace::last) checked.values.erase(spec.name);
  return settings_text(checked);
}

/// The checks of a sweep's runs; those that are checked by the same are checked once.
class RunChecks {
 public:
  RunChecks(const Registry& registry, ShapeStore& store, bool dry_run)
      : registry_(registry), store_(store), dry_run_(dry_run) {}

  void check(const PlannedRun& run) {
    if (!checked_.insert(checked_text(run)).second) return;
    try {
      check_new(run);
    } catch (const UsageError& error) {
      throw UsageError("{} (in {})", error.what(), describe(run));
    }
  }

 private:
  void check_new(const PlannedRun& run) {
    const RunSettings& settings = run.settings;
    check_settings(settings);
    const Task& task = task_of(settings);
    const std::string& model = settings.text("model");
    const bool is_shape = is_shape_alone(model, dry_run_);
    if (!is_shape) check_model_folder(model);
    const fs::path data = settings.text("data");
    if (!is_table_file(data) && !(dry_run_ && data == unknown_place)) check_data_folder(data);
    check_precision(settings.text("precision"));
    const ModelShape& shape = store_.shape(model);
    if (settings.count("max-length") > shape.positions)
      throw UsageError("--max-length is {}; expected at most the {} positions of the model",
                       settings.text("max-length"), shape.positions);
    check_trainer(settings, task, store_.tells_tokens(model));
    const Method& method = registry_.at(settings.text("method"));
    if (const std::size_t tokens = virtual_tokens(settings, method);
        tokens + settings.count("max-length") > shape.positions)
      throw UsageError(
          "--max-length is {}; expected, with {} virtual tokens, at most the {} positions of the "
          "model",
          settings.text("max-length"), tokens, shape.positions);
    if (!is_shape) check_features(settings, method, store_);
    store_.count(method, run);
  }

  /// One that nothing is known of where a dry run is told none.
  const Task& task_of(const RunSettings& settings) {
    const TaskChoice choice = task_choice(settings);
    if (const auto known = tasks_.find(choice); known != tasks_.end()) return known->second;
    const bool is_known = !dry_run_ || choice.task != unknown_place;
    return tasks_.emplace(choice, is_known ? find_task(choice) : Task{}).first->second;
  }

  const Registry& registry_;
  ShapeStore& store_;
  bool dry_run_;
  std::unordered_set<std::string> checked_;
  std::map<TaskChoice, Task> tasks_;
};

/// Leaves settings that nothing reads out of the runs of a grid, which makes some of them one.
void merge_unread(std::vector<PlannedRun>& runs) {
  std::vector<RunSettings*> settings;
  for (PlannedRun& run : runs) settings.push_back(&run.settings);
  if (!drop_unread(settings)) return;
  std::unordered_set<std::string> known;
  std::erase_if(runs, [&](const PlannedRun& run) {
    return !known.insert(settings_text(run.settings)).second;
  });
}

void check_out(const fs::path& out) {
  std::error_code failure;
  if (!fs::exists(out, failure)) return;
  if (!fs::is_directory(out, failure))
    throw Error("--out {}: is not a folder", printable(out.string()));
  if (fs::exists(out / "counts.csv", failure) && !fs::exists(out / "sweep.json", failure))
    throw Error("--out {}: holds a sweep of kind count (counts.csv); choose another folder",
                printable(out.string()));
}

struct FoundRun {
  RunSettings settings;  // the identity, of what Contents asks for
  fs::path folder;
  std::shared_ptr<const RunOutcome> outcome;
};
using FoundRuns = std::unordered_map<std::string, FoundRun>;

/// Every readable run.json below `out`, by the identity of its settings: finished ones before
/// others.
FoundRuns find_runs(const fs::path& out, const Registry& registry, KnownFolders& known,
                    SweepPlan& plan) {
  FoundRuns found;
  std::error_code failure;
  if (!fs::exists(out, failure)) return found;
  FileSearch search = find_files(out, "run.json");
  for (const std::string& line : search.passed_over) plan.notes.push_back("passed over " + line);
  for (const fs::path& file : search.files) {
    const std::optional<RunResult> run = find_run(file.parent_path());
    if (!run) {
      plan.notes.push_back(fmt::format("passed over {}: is no run.json", printable(file.string())));
      continue;
    }
    const RunSettings whole = identity(run->settings, registry, &known);
    if (run->status == "done") plan.costs.add(whole, run->train_seconds);
    FoundRun& place = found[settings_text(whole)];
    if (!place.outcome || place.outcome->status != "done")
      place = {content_settings(whole), file.parent_path(), outcome_of(*run)};
  }
  return found;
}

/// Throws where something else lies in the place of a run's folder or of its run.json.
void check_place(const fs::path& folder, const fs::path& out) {
  std::error_code failure;
  const auto refuse = [](const fs::path& path, const char* expected) {
    throw Error("{}: lies in the place of {}; move it away", printable(path.string()), expected);
  };
  const fs::file_status status = fs::status(folder, failure);
  if (failure == std::errc::no_such_file_or_directory) return;
  if (fs::is_directory(status)) {
    const fs::path file = folder / "run.json";
    const fs::file_status result = fs::status(file, failure);
    if (fs::exists(result) && !fs::is_regular_file(result)) refuse(file, "a run's result");
    return;
  }
  fs::path path = out;
  for (const fs::path& part : folder.lexically_relative(out)) {
    path /= part;
    const fs::file_status there = fs::status(path, failure);
    if (fs::exists(there) && !fs::is_directory(there)) refuse(path, "a folder of runs");
  }
  throw Error("{}: cannot be looked at: {}", printable(folder.string()), failure.message());
}

/// Where finished runs that stand in one table with those of the sweep were made of something else.
class ContentCheck {
 public:
  ContentCheck(Contents& contents, bool rerun_changed)
      : contents_(contents), rerun_changed_(rerun_changed) {}

  /// A run of the sweep, by its identity.
  void add(const RunSettings& run) {
    places_.insert({run.text("model"), run.text("data"), run.text("task")});
  }

  /// Opens the run again, or throws.
  void check(const FoundRun& found, SweepRun& run) {
    const std::string changed = change_of(found);
    if (changed.empty()) return;
    if (!rerun_changed_)
      throw Error(
          "{} is a finished run of this sweep, but {}; choose another --out, or --rerun-changed to "
          "make such runs again",
          printable(found.folder.string()), changed);
    run.state = RunState::open;
    run.is_again = true;
  }

  /// One that the sweep does not have.
  void check(const FoundRun& found) {
    const RunSettings& run = found.settings;
    if (!places_.contains({run.text("model"), run.text("data"), run.text("task")})) return;
    if (const std::string changed = change_of(found); !changed.empty())
      throw Error(
          "{} is a finished run on the model and data of this sweep, but {}; choose another --out, "
          "or move it away",
          printable(found.folder.string()), changed);
  }

  std::size_t unknown() const { return unknown_; }

 private:
  std::string change_of(const FoundRun& found) {
    if (state_of(*found.outcome) == RunState::open) return "";
    if (is_unknown(found.outcome->fingerprints)) {
      ++unknown_;
      return "";
    }
    return first_difference(found.outcome->fingerprints, contents_.of(found.settings));
  }

  Contents& contents_;
  bool rerun_changed_;
  std::set<std::array<std::string, 3>> places_;
  std::size_t unknown_ = 0;
};

std::string difference(const RunSettings& there, const RunSettings& here,
                       const Registry& registry) {
  return first_difference(identity(there, registry), identity(here, registry));
}

/// The folder of a run that has not been run there: nobody else's.
void check_new_place(const SweepRun& run, const fs::path& out, const Registry& registry) {
  check_place(run.folder, out);
  const auto other = find_run(run.folder);
  if (!other || other->status == "failed") return;
  const std::string differs = difference(other->settings, settings_of(run, registry), registry);
  throw Error("{} belongs to a run of other settings ({}); choose another --out",
              printable((run.folder / "run.json").string()),
              differs.empty() ? "of another version" : differs);
}

}  // namespace

RunSettings settings_of(const SweepRun& run, const Registry& registry, KnownFolders* known) {
  return canonical(run.given, &registry.at(run.given.text("method")), known);
}

SweepPlan plan_runs(std::vector<PlannedRun> runs, const fs::path& out, const Registry& registry,
                    Contents& contents, const PlanOptions& options) {
  check_out(out);
  ShapeStore store(SweepKind::train, options.dry_run);
  for (PlannedRun& run : runs) fill_from_model(run.settings, registry, store);
  merge_unread(runs);
  RunChecks checks(registry, store, options.dry_run);
  for (const PlannedRun& run : runs) checks.check(run);
  SweepPlan plan;
  KnownFolders known;
  RunPaths paths(registry);
  for (PlannedRun& run : runs) {
    RunSettings given = std::move(run.settings);
    fill_targets(given, registry.at(given.text("method")), store.places(given.text("model")));
    if (caches_features(given)) given.values.try_emplace("cache-dir", (out / ".features").string());
    plan.runs.emplace_back().given = std::move(given);
    paths.add(settings_of(plan.runs.back(), registry, &known));
  }
  runs = {};
  FoundRuns existing = find_runs(out, registry, known, plan);
  std::error_code failure;
  const bool is_new = !fs::exists(out, failure);
  ContentCheck check(contents, options.rerun_changed);
  std::unordered_map<std::string, std::size_t> owners;
  for (std::size_t i = 0; i < plan.runs.size(); ++i) {
    SweepRun& run = plan.runs[i];
    RunSettings settings = settings_of(run, registry, &known);
    run.folder = out / paths.path(settings);
    settings = identity_of_canonical(std::move(settings), &known);
    if (!existing.empty()) check.add(settings);
    if (const auto found = existing.find(settings_text(settings)); found != existing.end()) {
      run.folder = found->second.folder;
      run.result = found->second.outcome;
      run.state = state_of(*run.result);
      check.check(found->second, run);
      existing.erase(found);
    } else if (!is_new) {
      check_new_place(run, out, registry);
    }
    const auto [owner, is_first] = owners.emplace(run.folder.string(), i);
    if (!is_first)
      throw UsageError(
          "sweep: two runs would share the folder {} ({}); rename a model folder or table",
          printable(run.folder.string()),
          difference(settings_of(plan.runs[owner->second], registry), settings_of(run, registry),
                     registry));
  }
  for (const auto& [text, found] : existing) check.check(found);
  if (check.unknown() > 0)
    plan.notes.push_back(fmt::format(
        "{} of the finished runs are of an older version and kept no fingerprints: whether their "
        "model and rows are still the same is not known",
        check.unknown()));
  return plan;
}

}  // namespace rankfold
