#pragma once

#include <string>
#include <vector>

#include "analysis/figures/axis.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/label_placement.h"

namespace rankfold {

/// A text inside a panel: the name of a reference, or the rank of a point, or its name where it has
/// none.
struct PanelLabel {
  std::string text;
  Box box;                           ///< origin at the panel's lower left
  const FigureLine* line = nullptr;  ///< of a rank
  bool dominated = false;
};

/// The panel's axes and its measures, in one unit.
struct PanelFrame {
  FigureAxis x, y;
  double width = 0, height = 0;
  double name_size = 0, rank_size = 0;  ///< of the fonts
  double marker_radius = 0;

  double left(const FigurePoint& point) const { return x.position(point.x) * width; }
  /// From the bottom; 0 for a point without a mean.
  double up(const FigurePoint& point) const;
  double up(double value) const;  ///< inside the frame
};

/// Names of references (those beyond an axis at its edge, with an arrow and their value; those that
/// find no room along their line at an edge, with their value), and the
/// ranks that the figure wants written, where there is room for them: of points on the front, then
/// of the ends of lines, then of the others.
std::vector<PanelLabel> panel_labels(const FigurePlan& plan, const FigurePanel& panel,
                                     const PanelFrame& frame);

}  // namespace rankfold
