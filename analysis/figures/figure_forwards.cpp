#include <cmath>
#include <filesystem>

#include <fmt/core.h>

#include "analysis/figures/curves.h"
#include "analysis/figures/figure_lines.h"
#include "core/base/error.h"
#include "experiments/runs/run_result.h"
#include "experiments/runs/score_metric.h"

// Scores of a run's evaluations against the forward passes that training had taken.

namespace rankfold {
namespace {

/// Scores of one run by step, and the passes of a step.
struct Progress {
  std::map<std::size_t, double> scores;
  double forwards_a_step = 0;
};

Progress read_progress(const ResultRow& row) {
  const std::filesystem::path file = row.origin;
  if (file.filename() != "run.json")
    throw Error("{}: evaluations are in run.json: expected a folder of runs", row.origin);
  const RunResult run = read_run(file);
  Progress progress;
  for (const EvaluationResult& evaluation : run.evaluations)
    if (const auto score = evaluation.scores.find(row.metric); score != evaluation.scores.end())
      progress.scores[evaluation.step] = score->second;
  if (run.steps == 0 || run.forwards == 0 || progress.scores.empty())
    throw Error("{}: tells no evaluations and forward passes, expected a run of this version",
                row.origin);
  progress.forwards_a_step = static_cast<double>(run.forwards) / static_cast<double>(run.steps);
  return progress;
}

/// Points of one line, where all of its runs were scored.
std::vector<FigurePoint> points_of(const Rows& runs, double factor, const Bounds& possible) {
  std::vector<Progress> all;
  for (const ResultRow* run : runs) all.push_back(read_progress(*run));
  std::vector<FigurePoint> points;
  for (const auto& [step, first] : all.front().scores) {
    std::vector<double> values;
    for (const Progress& run : all)
      if (const auto score = run.scores.find(step); score != run.scores.end())
        values.push_back(factor * score->second);
    if (values.size() < all.size()) continue;
    points.push_back(curve_point(runs, static_cast<double>(step) * all.front().forwards_a_step,
                                 values, possible));
  }
  return points;
}

}  // namespace

FigurePlan plan_forwards(const std::vector<ResultRow>& rows, const FigureOptions& options) {
  const LinePlanner planner(FigureKind::forwards, rows, options.axis);
  const ScoredRuns runs = scored_runs(rows);
  FigurePlan plan;
  bool is_best = false;
  for (const auto& [name, of_task] : by_task(runs.scored)) {
    const auto [label, factor] = label_of_metric(of_task.front()->metric);
    const Bounds range = score_metric(of_task.front()->metric).range;
    FigurePanel panel{
        panel_title(name.first, name.second, runs.models.size() == 1, of_task, runs.scored),
        "forward passes", AxisScale::log10, label};
    panel.possible = {factor * range.low, factor * range.high};
    panel.is_dense = true;
    const Curves curves = curves_of(planner, of_task);
    is_best = is_best || curves.is_best;
    for (const CurveRuns& line : curves.lines) {
      const std::vector<FigurePoint> points = points_of(line.runs, factor, panel.possible);
      if (points.empty()) continue;
      panel.lines.push_back(line_named(line.name));
      panel.lines.back().points = points;
    }
    plan.panels.push_back(std::move(panel));
  }
  plan.spread = spread_of(options.look, plan.panels);
  plan.note = curves_note(plan, runs, is_best);
  return plan;
}

}  // namespace rankfold
