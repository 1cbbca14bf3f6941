#include "analysis/panel_axes.h"

#include <algorithm>
#include <cmath>

namespace rankfold {

FigureAxis horizontal_axis(const FigurePlan& plan, const FigurePanel& panel) {
  std::vector<double> values;
  for (const FigurePanel& other : plan.panels) {
    if (other.x_group != panel.x_group) continue;
    for (const FigureLine& line : other.lines) {
      for (const FigurePoint& point : line.points) values.push_back(point.x);
    }
  }
  if (panel.x_scale != AxisScale::linear) return make_axis(panel.x_scale, values);
  const bool whole = std::ranges::all_of(values, [](double x) { return x == std::floor(x); });
  return whole ? make_count_axis(values) : make_axis(AxisScale::linear, values);
}

FigureAxis vertical_axis(const FigurePanel& panel) {
  std::vector<double> means, ends;
  for (const auto* lines : {&panel.lines, &panel.references}) {
    for (const FigureLine& line : *lines) {
      for (const FigurePoint& point : line.points) {
        if (point.value.value) means.push_back(*point.value.value);
        const auto& interval = point.value.interval;
        if (!interval) continue;
        for (const double end : {interval->low, interval->high})
          ends.push_back(std::clamp(end, panel.possible.low, panel.possible.high));
      }
    }
  }
  if (panel.y_scale == AxisScale::log10) {
    std::erase_if(ends, [](double end) { return end <= 0; });
  }
  if (means.empty()) return make_axis(panel.y_scale, means);
  const auto [least, most] = std::ranges::minmax(means);
  const bool logarithmic = panel.y_scale != AxisScale::linear;
  const double low = logarithmic ? least * least / most : 2 * least - most;
  const double high = logarithmic ? most * most / least : 2 * most - least;
  for (const double end : ends) {
    means.push_back(most > least ? std::clamp(end, low, high) : end);
  }
  return make_axis(panel.y_scale, means);
}

Bounds drawn_interval(const FigurePanel& panel, const FigurePoint& point,
                      const FigureAxis& y_axis) {
  const double mean = point.value.value.value_or(y_axis.low);
  const auto inside = [&](double end) {
    return std::clamp(std::clamp(end, panel.possible.low, panel.possible.high), y_axis.low,
                      y_axis.high);
  };
  const Bounds bounds = point.value.interval.value_or(Bounds{mean, mean});
  return {inside(bounds.low), inside(bounds.high)};
}

}  // namespace rankfold
