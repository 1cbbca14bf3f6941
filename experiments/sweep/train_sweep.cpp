#include "experiments/sweep/train_sweep.h"

#include <map>
#include <set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/folder_lock.h"
#include "core/text.h"
#include "core/version.h"
#include "experiments/models/config_file.h"
#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/processes.h"
#include "experiments/sweep/run_paths.h"
#include "experiments/sweep/shape_store.h"
#include "experiments/tasks/task.h"
#include "experiments/training/feature_cache.h"
#include "experiments/training/run_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// One text for each identity, to look runs up by.
std::string identity_text(const RunSettings& settings, const Registry& registry) {
  const RunSettings whole = identity(settings, registry);
  std::string text;
  for (const auto& values : {whole.values, whole.options})
    for (const auto& [name, value] : values) text += name + '=' + value + '\n';
  return text;
}

std::string difference(const RunSettings& there, const RunSettings& here,
                       const Registry& registry) {
  return first_difference(identity(there, registry), identity(here, registry));
}

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
  if (method.name != "none")
    frozen = store.stack(model, chosen_targets(settings, method), settings.text("layers"))
                 .layers.front();
  check_cacheable(settings, frozen, has_dropout(settings));
}

void check_runs(const std::vector<PlannedRun>& runs, const Registry& registry) {
  ShapeStore store(SweepKind::train);
  for (const PlannedRun& run : runs) {
    try {
      check_settings(run.settings);
      find_task(run.settings.text("task"));
      check_model_folder(run.settings.text("model"));
      check_data_folder(run.settings.text("data"));
      check_precision(run.settings.text("precision"));
      const ModelShape& shape = store.shape(run.settings.text("model"));
      if (run.settings.count("max-length") > shape.positions)
        throw UsageError("--max-length is {}; the model has {} positions",
                         run.settings.text("max-length"), shape.positions);
      check_features(run.settings, registry.at(run.settings.text("method")), store);
    } catch (const UsageError& error) {
      throw UsageError("{} (in {})", error.what(), describe(run));
    }
  }
  count_runs(runs, registry, store);
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

/// Every readable run.json below the folder, by the identity of its settings: finished ones before
/// others.
std::map<std::string, std::pair<fs::path, RunResult>> find_runs(const fs::path& out,
                                                                const Registry& registry) {
  std::map<std::string, std::pair<fs::path, RunResult>> found;
  std::error_code failure;
  for (fs::recursive_directory_iterator entry(out, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (entry->path().filename() != "run.json") continue;
    const fs::path folder = entry->path().parent_path();
    std::optional<RunResult> run = find_run(folder);
    if (!run) continue;
    const std::string key = identity_text(run->settings, registry);
    const auto known = found.find(key);
    if (known == found.end() || known->second.second.status != "done")
      found.insert_or_assign(key, std::pair(folder, std::move(*run)));
  }
  return found;
}

RunState state_of(const RunResult& result) {
  if (result.status == "done") return RunState::finished;
  return result.status == "diverged" ? RunState::diverged : RunState::open;
}

std::vector<std::string> command_of(const SweepRun& run, const TrainSweepOptions& options) {
  std::vector<std::string> command = options.program;
  for (const SettingSpec& spec : run_settings()) {
    const auto value = run.given.values.find(spec.name);
    if (value != run.given.values.end()) command.push_back("--" + spec.name + "=" + value->second);
  }
  if (!run.given.options.empty()) command.push_back("--set");
  for (const auto& [name, value] : run.given.options) command.push_back(name + "=" + value);
  command.push_back("--out=" + run.folder.string());
  command.insert(command.end(), options.more.begin(), options.more.end());
  return command;
}

/// The runs that sweep.json lists so far; none where it is not there or not whole.
std::vector<Json> earlier_runs(const fs::path& out) {
  std::error_code failure;
  if (!fs::exists(out / "sweep.json", failure)) return {};
  const Json document = Json::parse(read_text(out / "sweep.json"), nullptr, false);
  if (!document.is_object() || !document.contains("runs")) return {};
  std::vector<Json> runs;
  for (const Json& run : document.at("runs"))
    if (run.is_object() && run.contains("folder") && run.at("folder").is_string())
      runs.push_back(run);
  return runs;
}

/// The last line that a failed process wrote.
std::string last_line(const fs::path& log) {
  try {
    const std::string text = read_text(log);
    const std::vector<std::string> lines = split(trim(text), '\n');
    return printable(trim(lines.back()), 300);
  } catch (const Error&) {
    return "";
  }
}

void take_result(SweepRun& run, const JobEnd& end) {
  run.result = find_run(run.folder);
  if (run.result && run.result->settings == run.settings && run.result->status != "failed" &&
      end.signal == 0 && (end.exit_status == 0) == (run.result->status == "done")) {
    run.state = state_of(*run.result);
    return;
  }
  run.state = end.stopped ? RunState::stopped : RunState::failed;
  if (end.stopped) return;
  run.reason = end.signal != 0 ? fmt::format("ended by signal {}", end.signal)
                               : last_line(run.folder / "log.txt");
  if (run.reason.empty()) run.reason = fmt::format("exit status {}", end.exit_status);
}

}  // namespace

std::vector<SweepRun> plan_runs(const std::vector<PlannedRun>& runs, const fs::path& out,
                                const Registry& registry) {
  check_out(out);
  check_runs(runs, registry);
  std::vector<SweepRun> planned;
  std::vector<RunSettings> settings;
  for (const PlannedRun& run : runs) {
    RunSettings given = run.settings;
    if (caches_features(given)) given.values.try_emplace("cache-dir", (out / ".features").string());
    settings.push_back(canonical(given, &registry.at(given.text("method"))));
    planned.push_back({std::move(given), settings.back(), {}, RunState::open, {}, ""});
  }
  const std::vector<fs::path> paths = run_paths(settings, registry);
  const auto existing = find_runs(out, registry);
  std::map<fs::path, std::size_t> owners;
  for (std::size_t i = 0; i < planned.size(); ++i) {
    SweepRun& run = planned[i];
    run.folder = out / paths[i];
    if (const auto found = existing.find(identity_text(run.settings, registry));
        found != existing.end()) {
      run.folder = found->second.first;
      run.result = found->second.second;
      run.state = state_of(*run.result);
    } else if (const auto other = find_run(run.folder); other && other->status != "failed") {
      throw Error("{} belongs to a run of other settings ({}); choose another --out",
                  (run.folder / "run.json").string(),
                  difference(other->settings, run.settings, registry));
    }
    const auto [owner, is_new] = owners.emplace(run.folder, i);
    if (!is_new)
      throw UsageError("sweep: two runs would share the folder {} ({}); rename a model folder",
                       run.folder.string(),
                       difference(planned[owner->second].settings, run.settings, registry));
  }
  return planned;
}

std::string sweep_json(const std::vector<SweepRun>& runs, const fs::path& out) {
  Json document = {{"kind", "train"}, {"rankfold", version()}, {"runs", Json::array()}};
  std::set<std::string> folders;
  for (const SweepRun& run : runs)
    folders.insert(run.folder.lexically_relative(out).generic_string());
  for (const Json& run : earlier_runs(out)) {
    std::error_code failure;
    const auto folder = run.at("folder").get<std::string>();
    if (!folders.contains(folder) && fs::is_directory(out / folder, failure))
      document["runs"].push_back(run);
  }
  for (const SweepRun& run : runs)
    document["runs"].push_back({{"folder", run.folder.lexically_relative(out).generic_string()},
                                {"settings", settings_document(run.settings)}});
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

bool run_sweep(std::vector<SweepRun>& runs, const fs::path& out, const TrainSweepOptions& options) {
  std::error_code failure;
  fs::create_directories(out, failure);
  if (failure) throw Error("--out {}: cannot be made: {}", out.string(), failure.message());
  const FolderLock lock(out);
  write_atomically(out / "sweep.json", sweep_json(runs, out));

  std::vector<std::size_t> open;
  std::vector<Job> jobs;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].state != RunState::open) continue;
    fs::create_directories(runs[i].folder, failure);
    if (failure) throw Error("{}: cannot be made: {}", runs[i].folder.string(), failure.message());
    open.push_back(i);
    jobs.push_back({command_of(runs[i], options), runs[i].folder / "log.txt"});
    // Until its process says otherwise.
    runs[i].state = RunState::stopped;
  }
  JobOptions job_options;
  job_options.at_a_time = options.jobs;
  job_options.environment = options.environment;
  job_options.ended = [&](const JobEnd& end) {
    SweepRun& run = runs[open[end.job]];
    take_result(run, end);
    if (options.ended) options.ended(run);
  };
  return run_jobs(jobs, job_options);
}

}  // namespace rankfold
