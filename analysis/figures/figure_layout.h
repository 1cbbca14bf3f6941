#pragma once

#include <string>
#include <vector>

#include "analysis/figures/figure_plan.h"
#include "analysis/figures/label_placement.h"

namespace rankfold {

/// Font sizes in points.
constexpr double text_size = 9, small_size = 7.5;

/// Widths in points: a column of a two-column paper (3.25 in), and its page (6.75 in).
constexpr double column_width = 3.25 * 72, page_width = 6.75 * 72;

/// Where everything of a figure stands, in points (1/72 inch), origin at the lower left.
struct FigureLayout {
  struct LegendEntry {
    LineLook look;
    std::string name;
    double x = 0, y = 0;  ///< left end of its line sample, middle of its text
  };
  double width = 0, height = 0;
  std::vector<Box> panels;  ///< the areas inside the axes
  /// Whether a panel's axes have labels; of small multiples only the outer ones have.
  std::vector<bool> has_x_labels, has_y_labels;
  std::vector<LegendEntry> legend;
  std::vector<std::string> note;       ///< lines of the note
  double note_left = 0, note_top = 0;  ///< of its first line
  double sample_width = 22;            ///< of a line in the legend
};

/// The width that suits the plan: the page's for several panels.
double natural_width(const FigurePlan& plan);

/// Panels left to right, then the legend in columns, then the note. A row holds as many panels as
/// are legible (one in a column, two on a page), or one more where there would be more than two
/// rows of these. Small multiples are narrower, and those of one vertical group begin a row.
FigureLayout layout_figure(const FigurePlan& plan, double width);

}  // namespace rankfold
