#include "analysis/figures/panel_axes.h"

#include <algorithm>
#include <cmath>

namespace rankfold {

namespace {

FigureAxis in_range(const FigureAxis& axis, const std::optional<Bounds>& range) {
  if (!range) return axis;
  const double low = std::isfinite(range->low) ? range->low : axis.low;
  const double high = std::isfinite(range->high) ? range->high : axis.high;
  if (!(low < high)) return axis;
  return make_axis_within(axis.scale, low, high);
}

/// Where values stand on an axis of that scale, but for its unit.
double height_of(AxisScale scale, double value) {
  return scale == AxisScale::linear ? value : std::log(value);
}

/// The means of a panel's lines, and the ends of their intervals or the runs that are drawn as
/// dots.
struct Values {
  Spread spread = Spread::band;
  std::vector<double> means = {}, ends = {};

  void add(const FigurePanel& panel, const FigurePoint& point) {
    const bool is_shown =
        !panel.x_range || (panel.x_range->low <= point.x && point.x <= panel.x_range->high);
    if (!is_shown) return;
    add_value(panel, point);
  }
  void add_value(const FigurePanel& panel, const FigurePoint& point) {
    if (point.value.value) means.push_back(*point.value.value);
    std::vector<double> shown = point.runs;
    if (const auto& interval = point.value.interval; interval && spread != Spread::dots) {
      shown = {interval->low, interval->high};
    } else if (spread != Spread::dots) {
      shown.clear();
    }
    for (const double end : shown) {
      if (panel.y_scale == AxisScale::linear || end > 0) ends.push_back(end);
    }
  }
  /// All that the axis has to hold.
  std::vector<double> held(AxisScale scale) const {
    std::vector<double> values = means;
    if (values.empty()) return values;
    const auto [least, most] = std::ranges::minmax(means);
    const bool logarithmic = scale != AxisScale::linear;
    const double low = logarithmic ? least * least / most : 2 * least - most;
    const double high = logarithmic ? most * most / least : 2 * most - least;
    for (const double end : ends) values.push_back(most > least ? std::clamp(end, low, high) : end);
    return values;
  }
};

}  // namespace

FigureAxis horizontal_axis(const FigurePlan& plan, const FigurePanel& panel) {
  std::vector<double> values;
  for (const FigurePanel& other : plan.panels) {
    if (other.x_group != panel.x_group) continue;
    for (const FigureLine& line : other.lines) {
      for (const FigurePoint& point : line.points) values.push_back(point.x);
    }
  }
  if (panel.x_scale != AxisScale::linear)
    return in_range(make_axis(panel.x_scale, values), panel.x_range);
  const bool whole = std::ranges::all_of(values, [](double x) { return x == std::floor(x); });
  return in_range(whole ? make_count_axis(values) : make_axis(AxisScale::linear, values),
                  panel.x_range);
}

FigureAxis vertical_axis(const FigurePlan& plan, const FigurePanel& panel) {
  Values lines{plan.spread}, with_references{plan.spread};
  std::vector<const FigureLine*> references;
  for (const FigurePanel& other : plan.panels) {
    const bool is_one = &other == &panel || (panel.y_group != 0 && other.y_group == panel.y_group);
    if (!is_one) continue;
    for (const FigureLine& line : other.lines) {
      for (const FigurePoint& point : line.points) lines.add(other, point);
    }
    for (const FigureLine& line : other.references) references.push_back(&line);
  }
  with_references = lines;
  std::vector<double> held = lines.held(panel.y_scale);
  const auto extent = [&](double least, double most) {
    return height_of(panel.y_scale, most) - height_of(panel.y_scale, least);
  };
  for (const FigureLine* line : references) {
    const FigurePoint& point = line->points[0];
    if (!point.value.value) continue;
    const double value = *point.value.value;
    if (held.size() > 1) {
      const auto [least, most] = std::ranges::minmax(held);
      const double own = extent(least, most);
      if (own > 0 && extent(std::min(least, value), std::max(most, value)) > 2 * own) continue;
    }
    with_references.add_value(panel, point);
  }
  return in_range(make_axis(panel.y_scale, with_references.held(panel.y_scale)), panel.y_range);
}

bool is_off_axis(const FigureLine& reference, const FigureAxis& y_axis) {
  const auto& value = reference.points[0].value.value;
  return value && (*value < y_axis.low || *value > y_axis.high);
}

bool is_inside(const FigurePoint& point, const FigureAxis& x_axis, const FigureAxis& y_axis) {
  const double mean = point.value.value.value_or(y_axis.low);
  return x_axis.low <= point.x && point.x <= x_axis.high && y_axis.low <= mean &&
         mean <= y_axis.high;
}

Bounds drawn_interval(const FigurePoint& point, const FigureAxis& y_axis) {
  const double mean = point.value.value.value_or(y_axis.low);
  const auto [low, high] = point.value.interval.value_or(Bounds{mean, mean});
  return {std::clamp(low, y_axis.low, y_axis.high), std::clamp(high, y_axis.low, y_axis.high)};
}

}  // namespace rankfold
