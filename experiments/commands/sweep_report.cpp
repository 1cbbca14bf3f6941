#include "experiments/commands/sweep_report.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/results.h"
#include "core/json_text.h"
#include "experiments/commands/table.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

const char* state_name(RunState state) {
  switch (state) {
    case RunState::open:
      return "open";
    case RunState::finished:
      return "done";
    case RunState::diverged:
      return "diverged";
    case RunState::failed:
      return "failed";
    case RunState::stopped:
      return "stopped";
  }
  return "";
}

/// The metric that stands for the run's task; "" where there is no score.
std::string main_metric_of(const SweepRun& run) {
  if (run.state != RunState::finished || !run.result || run.result->scores.empty()) return "";
  std::vector<std::string> measured;
  for (const auto& [metric, value] : run.result->scores) measured.push_back(metric);
  return main_metric(run.settings.text("task"), measured);
}

std::string model_name(const SweepRun& run) {
  return fs::path(run.settings.text("model")).filename().string();
}

/// "-" where there is nothing that was trained.
std::string parameters_text(const SweepRun& run) {
  const bool trained = run.state == RunState::finished || run.state == RunState::diverged;
  return trained && run.result ? std::to_string(run.result->parameters.adapter) : "-";
}

json run_json(const SweepRun& run, const fs::path& out) {
  json document = {{"folder", run.folder.lexically_relative(out).generic_string()},
                   {"status", state_name(run.state)}};
  const json settings = settings_document(run.settings);
  for (const char* name : {"task", "model", "method", "rank", "seed"})
    document[name] = settings.contains(name) ? settings.at(name) : json();
  document["settings"] = settings;
  if (run.result && run.state == RunState::finished) {
    document["parameters"] = run.result->parameters.adapter;
    document["scores"] = run.result->scores;
  }
  if (!run.reason.empty()) document["reason"] = run.reason;
  return document;
}

void print_runs(const std::vector<SweepRun>& runs, const fs::path& out, std::ostream& stream) {
  json document = {{"count", runs.size()}, {"out", out.string()}, {"runs", json::array()}};
  for (const SweepRun& run : runs) document["runs"].push_back(run_json(run, out));
  stream << json_text(document);
}

}  // namespace

std::string result_text(const SweepRun& run) {
  if (run.state == RunState::diverged)
    return fmt::format("diverged ({})", run.result ? run.result->error : "");
  const std::string metric = main_metric_of(run);
  if (metric.empty()) return state_name(run.state);
  return fmt::format("{} {:.4f}, {:.1f} s", metric, run.result->scores.at(metric),
                     run.result->train_seconds);
}

void print_plan(const std::vector<SweepRun>& runs, const fs::path& out, bool json_wanted,
                std::ostream& stream) {
  if (json_wanted) return print_runs(runs, out, stream);
  for (const SweepRun& run : runs)
    stream << run.folder.lexically_relative(out).string()
           << (run.state == RunState::open ? "" : fmt::format("  ({})", state_name(run.state)))
           << '\n';
  stream << counted(runs.size(), "run", "runs") << '\n';
}

void print_settings(const std::vector<PlannedRun>& runs, bool json_wanted, std::ostream& stream) {
  if (!json_wanted) {
    for (const PlannedRun& run : runs) stream << describe(run) << '\n';
    stream << counted(runs.size(), "setting", "settings") << '\n';
    return;
  }
  json document = {{"count", runs.size()}, {"runs", json::array()}};
  for (const PlannedRun& run : runs) {
    document["runs"].push_back({{"settings", settings_document(run.settings)}});
    if (!run.input.empty()) document["runs"].back()["input"] = run.input;
  }
  stream << json_text(document);
}

void print_report(const std::vector<SweepRun>& runs, const fs::path& out, bool json_wanted,
                  std::ostream& stream) {
  if (json_wanted) return print_runs(runs, out, stream);
  std::vector<std::vector<std::string>> rows = {{"task", "model", "method", "rank", "seed",
                                                 "parameters", "score", "metric", "status",
                                                 "folder"}};
  for (const SweepRun& run : runs) {
    const std::string metric = main_metric_of(run);
    rows.push_back({run.settings.text("task"), model_name(run), run.settings.text("method"),
                    run.settings.text("rank"), run.settings.text("seed"), parameters_text(run),
                    metric.empty() ? "" : fmt::format("{:.4f}", run.result->scores.at(metric)),
                    metric, state_name(run.state), run.folder.lexically_relative(out).string()});
  }
  write_table(stream, rows, {3, 4, 5, 6});
}

void print_totals(const std::vector<SweepRun>& runs, std::ostream& stream) {
  std::string text;
  for (const RunState state :
       {RunState::finished, RunState::diverged, RunState::failed, RunState::stopped}) {
    const auto number = std::ranges::count(runs, state, &SweepRun::state);
    if (number == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", number, state_name(state));
  }
  stream << text << '\n';
}

}  // namespace rankfold
