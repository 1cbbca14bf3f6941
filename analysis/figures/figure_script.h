#pragma once

#include <string>

#include "analysis/figures/figure_layout.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/figure_terminal.h"

namespace rankfold {

/// The gnuplot script that draws the plan into the file `name`, `width` points wide: panels in
/// rows, the legend and the note below them. A function of its arguments alone: the same plan gives
/// the same bytes. Names from the plan are drawn as text, whatever they hold.
std::string figure_script(const FigurePlan& plan, double width, FigureFormat format,
                          const std::string& name);

}  // namespace rankfold
