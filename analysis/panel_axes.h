#pragma once

#include "analysis/axis.h"
#include "analysis/figure_plan.h"

namespace rankfold {

/// The horizontal axis of one of the plan's panels: it holds the points of every panel of its
/// group. Linear with whole numbers, where the values are whole.
FigureAxis horizontal_axis(const FigurePlan& plan, const FigurePanel& panel);

/// Holds every mean. Intervals widen it by no more than the means' own spread at either end, so
/// that a wide one hides nothing else: it ends at the frame.
FigureAxis vertical_axis(const FigurePanel& panel);

/// What is drawn of a point's interval: no more than its panel shows and the quantity can be.
Bounds drawn_interval(const FigurePanel& panel, const FigurePoint& point, const FigureAxis& y_axis);

}  // namespace rankfold
