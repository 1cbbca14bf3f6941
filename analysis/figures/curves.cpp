#include "analysis/figures/curves.h"

#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

constexpr std::size_t most_lines = 8;

/// Of each method the one with the best score.
void keep_best(std::vector<CurveRuns>& found) {
  std::map<std::string, double> best;
  for (const CurveRuns& curve : found) {
    const auto [at, is_new] = best.emplace(curve.name.method, curve.score);
    if (!is_new) at->second = std::max(at->second, curve.score);
  }
  std::set<std::string> taken;
  std::erase_if(found, [&](const CurveRuns& curve) {
    const std::string& method = curve.name.method;
    return curve.score < best[method] || !taken.insert(method).second;
  });
}

}  // namespace

Curves curves_of(const LinePlanner& planner, const Rows& of_task) {
  std::map<std::pair<LineName, std::int64_t>, Rows> lines;
  for (const ResultRow* row : of_task)
    lines[{planner.split().lines_of(*row).front(), row->parameters}].push_back(row);
  Curves found;
  for (const auto& [key, runs] : lines) {
    double sum = 0;
    for (const ResultRow* run : runs) sum += *run->score;
    found.lines.push_back({key.first, runs, sum / static_cast<double>(runs.size())});
  }
  found.is_best = found.lines.size() > most_lines;
  if (found.is_best) keep_best(found.lines);
  std::ranges::stable_sort(found.lines, {},
                           [](const CurveRuns& curve) { return method_order(curve.name.method); });
  return found;
}

FigurePoint curve_point(const Rows& runs, double x, const std::vector<double>& values,
                        const Bounds& possible) {
  FigurePoint point;
  point.x = x;
  point.value = estimate_mean(values, possible);
  point.runs = values;
  point.rank = runs[0]->rank;
  point.layers = runs[0]->layers;
  point.parameters = runs[0]->parameters;
  point.trainable = runs[0]->trainable;
  return point;
}

ScoredRuns scored_runs(const std::vector<ResultRow>& rows) {
  ScoredRuns runs;
  for (const ResultRow& row : rows) {
    if (!row.score) continue;
    if (!std::isfinite(*row.score)) {
      ++runs.diverged;
      continue;
    }
    runs.scored.push_back(&row);
    runs.models.insert(row.model);
  }
  if (runs.scored.empty()) throw Error("{}: no finished run to draw", rows[0].origin);
  return runs;
}

std::string curves_note(const FigurePlan& plan, const ScoredRuns& runs, bool is_best) {
  return join_sentences(
      {model_note(runs.models), interval_note(plan.panels, plan.spread),
       is_best ? "Each method's best-scoring setting." : "",
       runs.diverged == 0 ? "" : fmt::format("{} diverged runs are left out.", runs.diverged)});
}

}  // namespace rankfold
