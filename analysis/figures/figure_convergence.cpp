#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/core.h>

#include "analysis/figures/curves.h"
#include "analysis/figures/figure_lines.h"
#include "analysis/logs/event_log.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Losses = std::map<std::int64_t, double>;  // by step

constexpr std::size_t most_points = 100;
constexpr Bounds loss_range = {0, INFINITY};

Losses read_losses(const ResultRow& row) {
  const fs::path file = row.origin;
  if (file.filename() != "run.json") {
    throw Error("{}: losses are in the event files beside run.json: expected a folder of runs",
                row.origin);
  }
  std::vector<fs::path> logs;
  std::error_code failure;
  for (fs::directory_iterator entry(file.parent_path(), failure), end; !failure && entry != end;
       entry.increment(failure)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("events.out.tfevents.")) logs.push_back(entry->path());
  }
  std::sort(logs.begin(), logs.end());
  Losses losses;
  for (const fs::path& log : logs) {
    for (const ScalarEvent& event : read_scalars(log).events) {
      if (event.tag == "train/loss") losses[event.step] = event.value;
    }
  }
  if (losses.empty()) {
    throw Error("{}: no event file with train/loss beside it, from which convergence is drawn",
                row.origin);
  }
  return losses;
}

/// The steps that every run has logged, with each run's loss there.
std::map<std::int64_t, std::vector<double>> common_steps(const std::vector<Losses>& curves) {
  std::map<std::int64_t, std::vector<double>> losses;
  for (const Losses& curve : curves) {
    for (const auto& [step, loss] : curve) losses[step].push_back(loss);
  }
  std::erase_if(losses, [&](const auto& at) { return at.second.size() < curves.size(); });
  return losses;
}

/// Points of one line. Where there are more steps than can be told apart, losses of neighbouring
/// ones are averaged, run by run, and stand at the last of them.
std::vector<FigurePoint> points_of(const Rows& runs) {
  std::vector<Losses> curves;
  for (const ResultRow* run : runs) curves.push_back(read_losses(*run));
  const auto common = common_steps(curves);
  const std::vector<std::pair<std::int64_t, std::vector<double>>> losses(common.begin(),
                                                                         common.end());
  const std::size_t stride = (losses.size() + most_points - 1) / most_points;
  std::vector<FigurePoint> points;
  for (std::size_t begin = 0; begin < losses.size(); begin += stride) {
    const std::size_t end = std::min(begin + stride, losses.size());
    std::vector<double> means(runs.size());
    for (std::size_t at = begin; at < end; ++at) {
      for (std::size_t run = 0; run < runs.size(); ++run)
        means[run] += losses[at].second[run] / static_cast<double>(end - begin);
    }
    points.push_back(
        curve_point(runs, static_cast<double>(losses[end - 1].first), means, loss_range));
  }
  return points;
}

/// Seconds of training for each step, the mean over the runs.
double seconds_per_step(const Rows& runs, const std::vector<FigurePoint>& points) {
  double seconds = 0;
  for (const ResultRow* run : runs) {
    if (!run->train_seconds) throw Error("{}: train_seconds is missing", run->origin);
    seconds += *run->train_seconds;
  }
  return seconds / static_cast<double>(runs.size()) / points.back().x;
}

}  // namespace

FigurePlan plan_convergence(const std::vector<ResultRow>& rows, const FigureOptions& options) {
  const LinePlanner planner(FigureKind::convergence, rows, options.axis);
  const ScoredRuns runs = scored_runs(rows);
  FigurePlan plan;
  bool is_best = false;
  for (const auto& [name, of_task] : by_task(runs.scored)) {
    const Curves curves = curves_of(planner, of_task);
    is_best = is_best || curves.is_best;
    const std::string title =
        panel_title(name.first, name.second, runs.models.size() == 1, of_task, runs.scored);
    FigurePanel by_step{title + ": by step", "step", AxisScale::linear, "training loss"};
    by_step.is_dense = true;
    by_step.group = title;
    by_step.possible = loss_range;
    by_step.x_group = plan.panels.size();
    FigurePanel by_time = by_step;
    by_time.title = title + ": by time";
    by_time.x_label = "seconds of training";
    by_time.x_group = plan.panels.size() + 1;
    for (const CurveRuns& line : curves.lines) {
      const std::vector<FigurePoint> points = points_of(line.runs);
      if (points.empty()) continue;
      by_step.lines.push_back(line_named(line.name));
      by_step.lines.back().points = points;
      by_time.lines.push_back(by_step.lines.back());
      const double seconds = seconds_per_step(line.runs, points);
      for (FigurePoint& point : by_time.lines.back().points) point.x *= seconds;
    }
    plan.panels.push_back(std::move(by_step));
    plan.panels.push_back(std::move(by_time));
  }
  plan.spread = spread_of(options.look, plan.panels);
  plan.note = curves_note(plan, runs, is_best);
  return plan;
}

}  // namespace rankfold
