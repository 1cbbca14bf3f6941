#include "experiments/commands/sweep_plan.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/progress.h"
#include "core/base/text.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;
namespace fs = std::filesystem;

/// How long a run will train.
struct RunTime {
  std::optional<double> seconds;
  bool by_finished_runs = false;  ///< else at least so long
};

RunTime time_of(const SweepRun& run, const RunForecast& forecast, const SweepPlan& plan,
                const Registry& registry, KnownFolders& known) {
  if (!plan.costs.empty())
    if (const auto seconds = plan.costs.seconds(identity(run.given, registry, &known)))
      return {seconds, true};
  return {forecast.least_seconds, false};
}

/// Of the open runs together.
struct PlanTime {
  std::size_t open = 0, unknown = 0, at_least = 0;
  double sum = 0, longest = 0;

  void add(const RunTime& time) {
    ++open;
    if (!time.seconds) {
      ++unknown;
      return;
    }
    at_least += !time.by_finished_runs;
    sum += *time.seconds;
    longest = std::max(longest, *time.seconds);
  }
  double seconds(std::size_t jobs) const {
    const std::size_t side_by_side = std::clamp<std::size_t>(open - unknown, 1, jobs);
    return std::max(longest, sum / static_cast<double>(side_by_side));
  }
};

/// Runs of which the same is known.
struct PlanGroup {
  const RunForecast* forecast = nullptr;
  RunState state = RunState::open;
  RunTime time;
  std::size_t runs = 0;
  std::vector<std::string> folder = {};  ///< the parts of its path; see join_folders
  bool goes_on = false;                  ///< folders of some are deeper or not as deep
};

/// What two folders have in common: "seed=*" for parts that differ in a value, "*" for others.
void join_folders(PlanGroup& group, const fs::path& folder) {
  std::vector<std::string> parts;
  for (const fs::path& part : folder) parts.push_back(part.string());
  if (group.folder.empty()) group.folder = parts;
  group.goes_on |= parts.size() != group.folder.size();
  group.folder.resize(std::min(parts.size(), group.folder.size()));
  for (std::size_t i = 0; i < group.folder.size(); ++i) {
    std::string& common = group.folder[i];
    if (common == parts[i]) continue;
    const std::size_t equals = common.find('=');
    const bool one_setting =
        equals != std::string::npos && parts[i].starts_with(common.substr(0, equals + 1));
    common = one_setting ? common.substr(0, equals + 1) + "*" : "*";
  }
}

std::string folder_text(const PlanGroup& group) {
  return join(group.folder, "/") + (group.goes_on ? "/..." : "");
}

std::string number_text(const std::optional<std::size_t>& number) {
  return number ? std::to_string(*number) : "unknown";
}

std::string time_text(const PlanGroup& group) {
  if (group.state != RunState::open) return "";
  if (!group.time.seconds) return "unknown";
  return (group.time.by_finished_runs ? "about " : "at least ") +
         duration_text(*group.time.seconds);
}

std::string total_text(const PlanTime& time, std::size_t jobs) {
  std::string text = fmt::format("{} open, {} at a time: ", time.open, jobs);
  if (time.unknown == time.open) return text + "time unknown";
  text += fmt::format("{} {} of training", time.at_least > 0 ? "at least" : "about",
                      duration_text(time.seconds(jobs)));
  if (time.unknown > 0)
    text += fmt::format(" for {}, unknown for {}", counted(time.open - time.unknown, "run", "runs"),
                        time.unknown);
  return text;
}

std::vector<std::string> explanations(const PlanTime& time, const Forecaster& forecaster) {
  std::vector<std::string> lines = forecaster.notes();
  if (time.open > time.unknown + time.at_least)
    lines.emplace_back("\"about\" is by finished runs on the same model and data");
  if (time.at_least > 0)
    lines.push_back(fmt::format(
        "\"at least\" is the products of all steps with the network's weights at the rate of large "
        "ones here, {}; scoring and all else come on top",
        join(forecaster.rates(), ", ")));
  return lines;
}

/// A run's document without the paths of a shape and of data that are unknown.
void tell_as_given(const RunSettings& given, json& document) {
  for (const char* name : {"task", "data"})
    if (given.text(name) == unknown_place) document["settings"].erase(name);
  if (given.text("task") == unknown_place) document["task"] = json();
  std::error_code failure;
  const std::string& model = given.text("model");
  if (!fs::is_directory(model, failure))
    for (json* place : {&document, &document["settings"]}) (*place)["model"] = model;
}

template <class Number>
json json_of(const std::optional<Number>& value) {
  return value ? json(*value) : json();
}

json forecast_json(const RunForecast& forecast, const RunTime& time) {
  return {{"adapter", forecast.adapter},
          {"trainable", json_of(forecast.trainable)},
          {"rows", json_of(forecast.rows)},
          {"epochs", json_of(forecast.epochs)},
          {"steps", json_of(forecast.steps)},
          {"forwards", json_of(forecast.forwards)},
          {"seconds", json_of(time.seconds)},
          {"seconds_by", !time.seconds           ? json()
                         : time.by_finished_runs ? json("finished runs")
                                                 : json("products alone")}};
}

void print_groups(const std::vector<PlanGroup>& groups, std::ostream& stream) {
  const bool some_forwards = std::ranges::any_of(groups, [](const PlanGroup& group) {
    return group.forecast->forwards != group.forecast->steps;
  });
  const bool some_states = std::ranges::any_of(
      groups, [](const PlanGroup& group) { return group.state != RunState::open; });
  std::vector<std::vector<std::string>> rows = {
      {"runs", "adapter", "trainable", "epochs", "steps"}};
  if (some_forwards) rows[0].emplace_back("forwards");
  rows[0].emplace_back("time of one");
  if (some_states) rows[0].emplace_back("status");
  rows[0].emplace_back("folder");
  for (const PlanGroup& group : groups) {
    const RunForecast& forecast = *group.forecast;
    std::vector<std::string>& row = rows.emplace_back();
    row = {std::to_string(group.runs), std::to_string(forecast.adapter),
           number_text(forecast.trainable), number_text(forecast.epochs),
           number_text(forecast.steps)};
    if (some_forwards) row.push_back(number_text(forecast.forwards));
    row.push_back(time_text(group));
    if (some_states) row.emplace_back(state_name(group.state));
    row.push_back(folder_text(group));
  }
  write_table(stream, rows, {0, 1, 2, 3, 4, some_forwards ? 5u : 4u});
}

}  // namespace

void print_plan(const SweepPlan& plan, std::size_t jobs, Forecaster& forecaster,
                const ReportPlace& place) {
  std::vector<PlanGroup> groups;
  std::map<std::pair<const RunForecast*, RunState>, std::size_t> places;
  std::vector<RunTime> times;
  PlanTime total;
  KnownFolders known;
  for (const SweepRun& run : plan.runs) {
    const RunForecast& forecast = forecaster.of(run.given);
    const RunTime time = time_of(run, forecast, plan, place.registry, known);
    if (place.json) times.push_back(time);
    if (run.state == RunState::open) total.add(time);
    const auto [found, is_new] = places.try_emplace({&forecast, run.state}, groups.size());
    if (is_new) groups.push_back({&forecast, run.state, time});
    PlanGroup& group = groups[found->second];
    ++group.runs;
    join_folders(group, run.folder.lexically_relative(place.out));
  }
  if (place.json) {
    json head = {{"count", plan.runs.size()}, {"out", place.out.string()}};
    head["open"] = total.open;
    const bool is_known = total.unknown == 0;
    head["seconds"] = is_known && total.at_least == 0 ? json(total.seconds(jobs)) : json();
    head["least_seconds"] = is_known ? json(total.seconds(jobs)) : json();
    head["notes"] = explanations(total, forecaster);
    return print_runs(plan.runs, head, place, [&](std::size_t run, json& document) {
      tell_as_given(plan.runs[run].given, document);
      document["forecast"] = forecast_json(forecaster.of(plan.runs[run].given), times[run]);
    });
  }
  print_groups(groups, place.stream);
  place.stream << counted(plan.runs.size(), "run", "runs") << '\n';
  if (total.open > 0) place.stream << total_text(total, jobs) << '\n';
  for (const std::string& line : explanations(total, forecaster))
    place.stream << printable(line, 400) << '\n';
}

}  // namespace rankfold
