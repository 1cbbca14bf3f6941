#include "analysis/figures/figure_plan.h"

#include <algorithm>

#include <fmt/core.h>

#include "analysis/figures/figure_lines.h"
#include "analysis/figures/figure_look.h"
#include "core/base/csv.h"
#include "core/base/error.h"

namespace rankfold {

FigurePlan plan_figure(FigureKind kind, const std::vector<ResultRow>& rows,
                       const FigureOptions& options) {
  if (rows.empty()) throw Error("no results to draw: expected at least one row");
  const auto plan_kind = [&] {
    switch (kind) {
      case FigureKind::error:
        return plan_errors(rows, options);
      case FigureKind::cost:
        return plan_costs(rows, options);
      case FigureKind::convergence:
        return plan_convergence(rows, options);
      case FigureKind::forwards:
        return plan_forwards(rows, options);
      case FigureKind::spectrum:
        throw Error("a spectrum is drawn from singular values");
      default:
        return plan_scores(kind, rows, options);
    }
  };
  FigurePlan plan = plan_kind();
  apply_look(plan, options.look);
  return plan;
}

std::vector<std::string> drawn_texts(const FigurePlan& plan) {
  std::vector<std::string> texts = {plan.note};
  for (const FigurePanel& panel : plan.panels) {
    texts.insert(texts.end(), {panel.title, panel.x_label, panel.y_label});
    for (const auto* lines : {&panel.lines, &panel.references}) {
      for (const FigureLine& line : *lines) {
        texts.push_back(line.name);
        for (const FigurePoint& point : line.points) texts.push_back(point.rank);
      }
    }
  }
  return texts;
}

std::string figure_csv(const FigurePlan& plan) {
  const auto number = [](std::optional<double> value) {
    return value ? fmt::format("{:.10g}", *value) : std::string();
  };
  std::string csv = "panel,method,rank,layers,parameters,trainable,mean,low,high,runs,diverged,x\n";
  for (const FigurePanel& panel : plan.panels) {
    for (const auto* lines : {&panel.lines, &panel.references}) {
      for (const FigureLine& line : *lines) {
        if (line.look.muted) continue;
        for (const FigurePoint& point : line.points) {
          const auto& interval = point.value.interval;
          csv +=
              fmt::format("{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(panel.title),
                          csv_field(line.csv_name), csv_field(point.rank), csv_field(point.layers),
                          point.parameters, point.trainable ? std::to_string(*point.trainable) : "",
                          number(point.value.value), interval ? number(interval->low) : "",
                          interval ? number(interval->high) : "", point.value.count,
                          point.value.diverged, lines == &panel.lines ? number(point.x) : "");
        }
      }
    }
  }
  return csv;
}

std::string short_count(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (count < 1000) return std::to_string(count);
  if (value < 999.5e3) return fmt::format("{:.3g}k", value / 1e3);
  if (value < 999.5e6) return fmt::format("{:.3g}M", value / 1e6);
  return fmt::format("{:.3g}G", value / 1e9);
}

}  // namespace rankfold
