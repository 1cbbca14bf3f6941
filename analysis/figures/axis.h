#pragma once

#include <functional>
#include <string>
#include <vector>

#include "analysis/figures/figure_plan.h"

namespace rankfold {

struct Tick {
  double value = 0;
  std::string text;  ///< "" for a minor tick
};

/// One axis of a panel: its range and where its ticks stand.
struct FigureAxis {
  AxisScale scale = AxisScale::linear;
  double low = 0, high = 1;
  std::vector<Tick> ticks;

  /// 0 at `low`, 1 at `high`.
  double position(double value) const;
};

/// linear: about five ticks at 1, 2, 2.5 or 5 times a power of ten; log10: powers of ten, at least
/// two of them, with minor ticks between; log2: powers of two. The range holds all values with a
/// margin; equal values are given some room. Values of logarithmic axes must be positive. Throws
/// Error for values so far apart that their difference is no number.
FigureAxis make_axis(AxisScale scale, const std::vector<double>& values);

/// Exactly from `low` to `high`. A logarithmic axis without two labelled powers has labels between
/// them, or at its ends.
FigureAxis make_axis_within(AxisScale scale, double low, double high);

/// Linear with ticks at whole numbers, from about 0.
FigureAxis make_count_axis(const std::vector<double>& values);

/// Keeps every second, third, ... label, the other ticks without, so that none of them overlap on
/// an axis of this length; `extent` is how much of it a label takes.
void thin_labels(FigureAxis& axis, double length,
                 const std::function<double(const std::string&)>& extent);

}  // namespace rankfold
