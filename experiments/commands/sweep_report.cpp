#include "experiments/commands/sweep_report.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/json_text.h"
#include "core/base/progress.h"
#include "core/base/text.h"
#include "experiments/commands/text_table.h"
#include "experiments/runs/results.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

/// The metric that stands for the run's task; "" where there is no score.
std::string main_metric_of(const SweepRun& run) {
  if (run.state != RunState::finished || !run.result || run.result->scores.empty()) return "";
  std::vector<std::string> measured;
  for (const auto& [metric, value] : run.result->scores) measured.push_back(metric);
  return main_metric(run.given.text("task"), measured);
}

/// "-" where there is nothing that was trained.
std::string parameters_text(const SweepRun& run) {
  const bool trained = run.state == RunState::finished || run.state == RunState::diverged;
  return trained && run.result ? std::to_string(run.result->parameters) : "-";
}

json run_json(const SweepRun& run, const RunSettings& whole, const fs::path& out) {
  json document = {{"folder", run.folder.lexically_relative(out).generic_string()},
                   {"status", state_name(run.state)}};
  const json settings = settings_document(whole);
  for (const char* name : {"task", "model", "method", "rank", "seed"})
    document[name] = settings.contains(name) ? settings.at(name) : json();
  document["settings"] = settings;
  if (run.result && run.state == RunState::finished) {
    document["parameters"] = run.result->parameters;
    document["scores"] = run.result->scores;
  }
  if (!run.reason.empty()) document["reason"] = run.reason;
  return document;
}

json head_of(const std::vector<SweepRun>& runs, const fs::path& out) {
  return {{"count", runs.size()}, {"out", out.string()}};
}

}  // namespace

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

void print_runs(const std::vector<SweepRun>& runs, const json& head, const ReportPlace& place,
                const std::function<void(std::size_t run, json& document)>& add) {
  std::string text = json_text(head);
  text.erase(text.rfind("\n}"));
  place.stream << text << ",\n  \"runs\": [";
  KnownFolders known;
  const char* separator = "\n";
  for (std::size_t i = 0; i < runs.size(); ++i) {
    place.stream << separator;
    separator = ",\n";
    json document = run_json(runs[i], settings_of(runs[i], place.registry, &known), place.out);
    if (add) add(i, document);
    const std::string lines = json_text(document);
    for (const std::string& line : split(trim(lines), '\n'))
      place.stream << (line == "{" ? "" : "\n") << "    " << line;
  }
  place.stream << (runs.empty() ? "]\n}\n" : "\n  ]\n}\n");
}

std::string result_text(const SweepRun& run) {
  if (run.state == RunState::diverged)
    return fmt::format("diverged ({})", run.result ? run.result->error : "");
  const std::string metric = main_metric_of(run);
  if (metric.empty()) return state_name(run.state);
  return fmt::format("{} {:.4f}, {:.1f} s", metric, run.result->scores.at(metric),
                     run.result->train_seconds);
}

TimeEstimate estimate(const SweepPlan& plan, std::size_t jobs, const Registry& registry) {
  TimeEstimate estimate;
  double longest = 0;
  KnownFolders known;
  for (const SweepRun& run : plan.runs) {
    if (run.state != RunState::open) continue;
    if (plan.costs.empty()) {
      ++estimate.unknown;
      continue;
    }
    const RunSettings whole = identity(run.given, registry, &known);
    if (const auto seconds = plan.costs.seconds(whole)) {
      ++estimate.known;
      estimate.seconds += *seconds;
      longest = std::max(longest, *seconds);
    } else {
      ++estimate.unknown;
    }
  }
  const std::size_t side_by_side = std::clamp<std::size_t>(estimate.known, 1, jobs);
  estimate.seconds = std::max(longest, estimate.seconds / static_cast<double>(side_by_side));
  return estimate;
}

std::string estimate_text(const TimeEstimate& estimate) {
  if (estimate.known + estimate.unknown == 0) return "";
  if (estimate.known == 0) return "time unknown: no finished run on this data to go by";
  std::string text = fmt::format("about {} of training", duration_text(estimate.seconds));
  if (estimate.unknown > 0)
    text += fmt::format(" for {}, unknown for {}", counted(estimate.known, "run", "runs"),
                        estimate.unknown);
  return text;
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

void print_counts(const std::vector<CountRow>& rows, bool json_wanted, std::ostream& stream) {
  if (!json_wanted) {
    for (const CountRow& row : rows)
      stream << fmt::format("{}: adapter {}, trainable {}\n", describe(row.run), row.count.adapter,
                            row.count.trainable);
    stream << counted(rows.size(), "setting", "settings") << '\n';
    return;
  }
  json document = {{"count", rows.size()}, {"runs", json::array()}};
  for (const CountRow& row : rows)
    document["runs"].push_back({{"settings", settings_document(row.run.settings)},
                                {"adapter", row.count.adapter},
                                {"trainable", row.count.trainable}});
  stream << json_text(document);
}

void print_report(const std::vector<SweepRun>& runs, const ReportPlace& place) {
  if (place.json) return print_runs(runs, head_of(runs, place.out), place);
  std::vector<std::vector<std::string>> rows = {{"task", "model", "method", "rank", "seed",
                                                 "parameters", "score", "metric", "status",
                                                 "folder"}};
  KnownFolders known;
  for (const SweepRun& run : runs) {
    const RunSettings settings = settings_of(run, place.registry, &known);
    const std::string metric = main_metric_of(run);
    rows.push_back({settings.text("task"), fs::path(settings.text("model")).filename().string(),
                    settings.text("method"), settings.text("rank"), settings.text("seed"),
                    parameters_text(run),
                    metric.empty() ? "" : fmt::format("{:.4f}", run.result->scores.at(metric)),
                    metric, state_name(run.state),
                    run.folder.lexically_relative(place.out).string()});
  }
  write_table(place.stream, rows, {3, 4, 5, 6});
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
