#pragma once

#include <string>
#include <vector>

#include "analysis/figure_plan.h"
#include "analysis/label_placement.h"

namespace rankfold {

/// Font sizes in points.
constexpr double text_size = 9, small_size = 7.5;

/// How wide a figure is: a column of a two-column paper (3.25 in), or the page (6.75 in).
enum class FigureSize { single_column, double_column };

/// Where everything of a figure stands, in points (1/72 inch), origin at the lower left.
struct FigureLayout {
  struct LegendEntry {
    LineLook look;
    std::string name;
    double x = 0, y = 0;  ///< left end of its line sample, middle of its text
  };
  double width = 0, height = 0;
  std::vector<Box> panels;  ///< the areas inside the axes
  std::vector<LegendEntry> legend;
  std::vector<std::string> note;  ///< lines of the note
  double note_top = 0;            ///< of its first line
  double sample_width = 22;       ///< of a line in the legend
};

/// The size that suits the plan: double_column for several panels.
FigureSize natural_size(const FigurePlan& plan);

/// Panels left to right, then the legend in columns, then the note. single_column: one panel in a
/// row, two where there are more than four; double_column: two, or three where there are more than
/// six.
FigureLayout layout_figure(const FigurePlan& plan, FigureSize size);

}  // namespace rankfold
