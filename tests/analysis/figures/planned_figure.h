#pragma once

#include <string>
#include <vector>

#include "analysis/figures/figure_layout.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/figure_script.h"

namespace rankfold {

inline FigurePlan plan(const std::vector<ResultRow>& rows,
                       FigureKind kind = FigureKind::parameter_efficiency) {
  return plan_figure(kind, rows);
}

inline FigurePlan plan(const std::vector<ResultRow>& rows, const FigureLook& look) {
  return plan_figure(FigureKind::parameter_efficiency, rows, {.look = look});
}

/// What gnuplot is given for the figure of one column, or of another width.
inline std::string script(const FigurePlan& shown, double width = column_width) {
  return figure_script(shown, width, FigureFormat::svg, "figure.svg");
}

}  // namespace rankfold
