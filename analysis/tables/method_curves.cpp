#include <algorithm>
#include <map>
#include <set>

#include "analysis/tables/score_table.h"
#include "core/base/error.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

/// Points of one size are one, over the runs of all.
std::vector<SizedScore> pool(const std::map<double, std::vector<double>>& scores) {
  std::vector<SizedScore> points;
  for (const auto& [size, values] : scores) {
    const Estimate estimate = estimate_mean(values);
    if (estimate.value) points.push_back({size, *estimate.value, estimate.standard_error});
  }
  return points;
}

/// A method's scores on one task by size, the references and lines without parameters left out.
struct CurveScores {
  const ScoreLine* first = nullptr;  ///< of its lines
  std::map<double, std::vector<double>> by_parameters, by_rank;
  std::size_t diverged = 0, constant = 0;
};

/// What a task's lines of one model say.
struct TaskScores {
  std::optional<double> full, untouched;  ///< the best of `full`, and of lines without parameters
  std::vector<CurveScores> curves;
};

void keep_best(std::optional<double>& best, const std::optional<double>& score) {
  if (score) best = std::max(best.value_or(*score), *score);
}

TaskScores task_scores(const ScoreTable& table, const std::string& model, std::size_t column) {
  TaskScores found;
  std::map<std::pair<std::string, std::string>, std::size_t> positions;
  for (const ScoreLine& line : table.lines) {
    const ScoreCell& cell = line.cells[column];
    if (line.model != model || !cell.estimate) continue;
    if (line.method == "full") keep_best(found.full, cell.estimate->value);
    if (line.parameters == 0) keep_best(found.untouched, cell.estimate->value);
    if (line.is_reference() || line.parameters == 0) continue;
    const auto [position, is_new] =
        positions.emplace(std::pair(line.method, line.setting), found.curves.size());
    if (is_new) found.curves.emplace_back().first = &line;
    CurveScores& curve = found.curves[position->second];
    curve.diverged += cell.estimate->diverged;
    curve.constant += cell.constant;
    const auto rank = rank_position(line.rank);
    for (const SeedScore& score : cell.scores) {
      curve.by_parameters[static_cast<double>(line.parameters)].push_back(score.score);
      if (rank) curve.by_rank[*rank].push_back(score.score);
    }
  }
  if (found.full && *found.full <= 0) found.full.reset();
  return found;
}

/// Counts for every curve the points that nothing dominates.
void count_front(std::span<MethodCurve> curves, const std::vector<std::vector<SizedScore>>& points,
                 std::optional<double> untouched) {
  std::vector<SizedScore> all;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    all.insert(all.end(), points[i].begin(), points[i].end());
    owners.resize(all.size(), i);
  }
  if (all.empty()) return;
  for (const std::size_t position : pareto_front(all, untouched))
    ++curves[owners[position]].on_front;
}

}  // namespace

std::vector<MethodCurve> measure_curves(const ScoreTable& table, std::optional<double> budget,
                                        double share) {
  std::set<std::string> models;
  for (const ScoreLine& line : table.lines) models.insert(line.model);
  std::vector<MethodCurve> all;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    const ScoreColumn& task = table.columns[column];
    if (score_metric(task.metric).less_is_better)
      throw Error("{}: of {} less is better: curves show scores that grow with the parameters",
                  task.task, task.metric);
    for (const std::string& model : models) {
      const TaskScores scores = task_scores(table, model, column);
      const std::size_t begin = all.size();
      std::vector<std::vector<SizedScore>> points;
      for (const CurveScores& of_curve : scores.curves) {
        const std::vector<SizedScore> sizes = pool(of_curve.by_parameters);
        const std::vector<SizedScore> ranks = pool(of_curve.by_rank);
        MethodCurve& curve = all.emplace_back();
        curve.model = model;
        curve.task = task.task;
        curve.metric = task.metric;
        curve.method = of_curve.first->method;
        curve.setting = of_curve.first->setting;
        curve.smallest = of_curve.by_parameters.begin()->first;
        curve.largest = of_curve.by_parameters.rbegin()->first;
        curve.points = sizes.size();
        curve.diverged = of_curve.diverged;
        curve.constant = of_curve.constant;
        points.push_back(sizes);
        if (sizes.empty()) continue;
        curve.area = area_under_curve(sizes);
        if (budget) curve.at_budget = score_at_budget(sizes, *budget);
        if (scores.full) {
          curve.parameters_to_reach = size_to_reach(sizes, *scores.full, share);
          if (!ranks.empty()) curve.rank_to_reach = size_to_reach(ranks, *scores.full, share);
        }
      }
      count_front(std::span(all).subspan(begin), points, scores.untouched);
    }
  }
  return all;
}

}  // namespace rankfold
