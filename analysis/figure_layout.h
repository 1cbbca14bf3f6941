#pragma once

#include <string>
#include <vector>

#include "analysis/figure_plan.h"
#include "analysis/label_placement.h"

namespace rankfold {

/// Font sizes in points.
constexpr double text_size = 9, small_size = 7.5;

/// Where everything of a figure stands, in points (1/72 inch), origin at the lower left.
struct FigureLayout {
  struct LegendEntry {
    std::string method, name;
    int variant = 0;
    double x = 0, y = 0;  ///< left end of its line sample, middle of its text
  };
  double width = 0, height = 0;
  std::vector<Box> panels;  ///< the areas inside the axes
  std::vector<LegendEntry> legend;
  std::vector<std::string> note;  ///< lines of the note
  double note_top = 0;            ///< of its first line
  double sample_width = 22;       ///< of a line in the legend
};

/// Panels left to right in rows of two, then the legend in columns, then the note.
FigureLayout layout_figure(const FigurePlan& plan);

}  // namespace rankfold
