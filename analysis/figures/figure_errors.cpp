#include "analysis/figures/figure_lines.h"
#include "core/base/error.h"

namespace rankfold {

FigurePlan plan_errors(const std::vector<ResultRow>& rows, const FigureOptions& options) {
  const LinePlanner planner(FigureKind::error, rows, options.axis);
  std::map<std::string, Rows> by_model;
  for (const ResultRow& row : rows) {
    if (row.score && row.metric == "relative_error") by_model[row.model].push_back(&row);
  }
  if (by_model.empty()) {
    throw Error(
        "{}: no row has the metric relative_error, as `rankfold sweep --kind fit` writes it",
        rows[0].origin);
  }
  FigurePlan plan{RankLabels::at_points, {}, ""};
  for (const auto& [model, of_model] : by_model) {
    FigurePanel panel{shown_model(model),
                      options.axis == ParameterAxis::adapter
                          ? "trainable parameters"
                          : "trainable parameters (adapter and head)",
                      AxisScale::log10,
                      "relative error |D \u2212 dW| / |D|",
                      AxisScale::log10,
                      {},
                      {}};
    panel.possible.low = 0;
    planner.add_lines(panel, of_model, {[](const ResultRow& row) { return *row.score; }});
    plan.panels.push_back(std::move(panel));
  }
  plan.spread = spread_of(options.look, plan.panels);
  plan.note =
      join_sentences({interval_note(plan.panels, plan.spread), "Numbers at the points: rank."});
  return plan;
}

}  // namespace rankfold
