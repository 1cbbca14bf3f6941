#pragma once

#include "analysis/figures/axis.h"
#include "analysis/figures/figure_plan.h"

namespace rankfold {

/// The horizontal axis of one of the plan's panels: it holds the points of every panel of its
/// group. Linear with whole numbers, where the values are whole.
FigureAxis horizontal_axis(const FigurePlan& plan, const FigurePanel& panel);

/// Holds every mean of the panel's lines that its horizontal axis shows, and of the panels of its
/// group. Intervals widen it by no more than the means' own spread at either end, so that a wide
/// one hides nothing else: it ends at the frame. A horizontal reference is on it unless that would
/// leave the lines less than half of the height: it is then told at the edge (is_off_axis).
FigureAxis vertical_axis(const FigurePlan& plan, const FigurePanel& panel);

/// Whether a reference lies beyond the axis, below or above.
bool is_off_axis(const FigureLine& reference, const FigureAxis& y_axis);
/// Whether the point is inside the panel's ranges.
bool is_inside(const FigurePoint& point, const FigureAxis& x_axis, const FigureAxis& y_axis);

/// What is drawn of a point's interval: no more than its panel shows.
Bounds drawn_interval(const FigurePoint& point, const FigureAxis& y_axis);

}  // namespace rankfold
