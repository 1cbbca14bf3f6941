#include <cmath>
#include <set>

#include "analysis/figures/figure_lines.h"
#include "core/base/error.h"

namespace rankfold {

FigurePlan plan_costs(const std::vector<ResultRow>& rows, const FigureOptions& options) {
  const LinePlanner planner(FigureKind::cost, rows, options.axis);
  std::map<std::pair<std::string, std::string>, Rows> tasks;
  std::set<std::string> models;
  Rows measured;
  for (const ResultRow& row : rows) {
    // What a run that broke off took is not its method's cost.
    const bool diverged = row.score && !std::isfinite(*row.score);
    if (diverged || !row.tokens_per_second || !row.peak_memory_mib) continue;
    tasks[{row.task, row.model}].push_back(&row);
    measured.push_back(&row);
    models.insert(row.model);
  }
  if (measured.empty()) {
    throw Error(
        "{}: no row tells tokens_per_second and peak_memory_mib, as run.json does and a CSV may",
        rows[0].origin);
  }
  FigurePlan plan{RankLabels::at_points, {}, ""};
  for (const auto& [name, of_task] : tasks) {
    const std::string title =
        panel_title(name.first, name.second, models.size() == 1, of_task, measured);
    const auto add = [&](const char* what, const char* label,
                         std::optional<double> ResultRow::*value) {
      FigurePanel panel{title + ": " + what,
                        options.axis == ParameterAxis::adapter
                            ? "adapter parameters"
                            : "trainable parameters (adapter and head)",
                        AxisScale::log10,
                        label,
                        AxisScale::linear,
                        {},
                        {}};
      panel.possible.low = 0;
      panel.group = title;
      planner.add_lines(panel, of_task, {[value](const ResultRow& row) { return *(row.*value); }});
      plan.panels.push_back(std::move(panel));
    };
    add("speed", "tokens per second", &ResultRow::tokens_per_second);
    add("memory", "peak memory, MiB", &ResultRow::peak_memory_mib);
  }
  plan.spread = spread_of(options.look, plan.panels);
  plan.note = join_sentences({model_note(models), interval_note(plan.panels, plan.spread, "runs"),
                              "Numbers at the points: rank."});
  return plan;
}

}  // namespace rankfold
