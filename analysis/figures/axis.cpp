#include "analysis/figures/axis.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/core.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

constexpr double axis_margin = 0.06;  // of the range, at each end

/// The smallest of 1, 2, 2.5, 5 times a power of ten that is about `least` or more.
double nice_step(double least) {
  const double power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= 0.88 * least) return factor * power;
  }
  return 10 * power;
}

std::string number_text(double value, int decimals) {
  std::string text = fmt::format("{:.{}f}", value, decimals);
  if (text.find_first_not_of("-0.") == std::string::npos && text.front() == '-') text.erase(0, 1);
  if (text.front() == '-') text.replace(0, 1, "\u2212");
  return text;
}

/// 1e+09 for what has too many digits.
std::string short_text(double value) {
  std::string text = fmt::format("{:.4g}", value);
  if (text.front() == '-') text.replace(0, 1, "\u2212");
  return text;
}

/// "10⁴": with superscript characters, as not every viewer of SVG places raised text well.
std::string power_of_ten(int power) {
  static const std::map<char, std::string> raised = {
      {'-', "\u207b"}, {'0', "\u2070"}, {'1', "\u00b9"}, {'2', "\u00b2"},
      {'3', "\u00b3"}, {'4', "\u2074"}, {'5', "\u2075"}, {'6', "\u2076"},
      {'7', "\u2077"}, {'8', "\u2078"}, {'9', "\u2079"}};
  std::string text = "10";
  for (const char digit : std::to_string(power)) text += raised.at(digit);
  return text;
}

int decimals_of(double step) {
  int decimals = 0;
  while (decimals < 6 && std::abs(step - std::round(step)) > 1e-6 * step) {
    step *= 10;
    ++decimals;
  }
  return decimals;
}

void add_steps(FigureAxis& axis, double step) {
  const double largest = std::max(std::abs(axis.low), std::abs(axis.high));
  // Longer numbers would run into the axis' name.
  const auto [unit, letter] = largest < 1e5   ? std::pair(1.0, "")
                              : largest < 1e8 ? std::pair(1e3, "k")
                                              : std::pair(1e6, "M");
  const int decimals = decimals_of(step / unit);
  const bool plain = largest < 1e11 && step > 1e-6 * unit;
  const auto first = std::llround(std::ceil(axis.low / step - 1e-9));
  const auto last = std::llround(std::floor(axis.high / step + 1e-9));
  for (auto i = first; i <= last; ++i) {
    const double value = static_cast<double>(i) * step;
    axis.ticks.push_back(
        {value, plain ? number_text(value / unit, decimals) + letter : short_text(value)});
  }
}

/// Ticks at powers of the base.
FigureAxis with_powers(FigureAxis axis) {
  const double base = axis.scale == AxisScale::log2 ? 2 : 10;
  const double first = std::log(axis.low) / std::log(base);
  const double last = std::log(axis.high) / std::log(base);
  const double tolerance = 1e-9;
  const int stride = std::max(1, static_cast<int>(std::ceil((last - first) / 9)));
  for (int power = static_cast<int>(std::floor(first)); power <= last + tolerance; ++power) {
    const double value = std::pow(base, power);
    if (power >= first - tolerance && power % stride == 0) {
      const std::string text = axis.scale == AxisScale::log2
                                   ? number_text(value, power < 0 ? -power : 0)
                                   : power_of_ten(power);
      axis.ticks.push_back({value, text});
    }
    for (int digit = 2; digit < 10 && axis.scale == AxisScale::log10; ++digit) {
      const double minor = digit * value;
      if (minor > axis.low && minor < axis.high) axis.ticks.push_back({minor, ""});
    }
  }
  return axis;
}

FigureAxis log_axis(AxisScale scale, double low, double high) {
  const double base = scale == AxisScale::log2 ? 2 : 10;
  const auto exponent = [&](double value) { return std::log(value) / std::log(base); };
  double first = exponent(low), last = exponent(high);
  const double space =
      std::max(axis_margin * (last - first), scale == AxisScale::log2 ? 0.15 : 0.08);
  first -= space;
  last += space;
  // Without two labelled powers nobody can read a logarithmic axis.
  while (std::floor(last) - std::ceil(first) < 1) {
    const double down = first - (std::ceil(first) - 1), up = std::floor(last) + 1 - last;
    const bool extend_down = down < up + 0.01 && (scale == AxisScale::log10 || first > 1);
    const bool extend_up = !extend_down || up < down + 0.01;
    if (extend_down) first = std::ceil(first) - 1.05;
    if (extend_up) last = std::floor(last) + 1.05;
  }
  return with_powers({scale, std::pow(base, first), std::pow(base, last), {}});
}

}  // namespace

double FigureAxis::position(double value) const {
  if (scale == AxisScale::linear) return (value - low) / (high - low);
  return std::log(value / low) / std::log(high / low);
}

FigureAxis make_axis(AxisScale scale, const std::vector<double>& values) {
  if (values.empty()) return make_axis(scale, {1.0, 10.0});
  const auto [smallest, largest] = std::minmax_element(values.begin(), values.end());
  if (scale != AxisScale::linear) return log_axis(scale, *smallest, *largest);
  double low = *smallest, high = *largest;
  if (!(high - low < 1e300)) throw Error("values from {} to {} have no common axis", low, high);
  const double least = std::max(1e-9, 5e-3 * std::max(std::abs(low), std::abs(high)));
  if (high - low < least) {
    low -= least;
    high += least;
  }
  const double space = axis_margin * (high - low);
  FigureAxis axis{scale, low - space, high + space, {}};
  add_steps(axis, nice_step((axis.high - axis.low) / 6));
  return axis;
}

FigureAxis make_axis_within(AxisScale scale, double low, double high) {
  FigureAxis axis{scale, low, high, {}};
  if (scale == AxisScale::linear) {
    add_steps(axis, nice_step((high - low) / 6));
    return axis;
  }
  axis = with_powers(axis);
  const auto labelled = [&] {
    return std::ranges::count_if(axis.ticks, [](const Tick& tick) { return !tick.text.empty(); });
  };
  for (const bool every : {false, true}) {
    if (labelled() >= 2) break;
    for (Tick& tick : axis.ticks) {
      const double power = std::floor(std::log10(tick.value) + 1e-9);
      const double digit = std::round(tick.value / std::pow(10.0, power));
      if (tick.text.empty() && (every || digit == 2 || digit == 5))
        tick.text = fmt::format("{:.0f}\u00d7{}", digit, power_of_ten(static_cast<int>(power)));
    }
  }
  if (labelled() < 2) {
    axis.ticks.insert(axis.ticks.begin(), {low, short_text(low)});
    axis.ticks.push_back({high, short_text(high)});
  }
  return axis;
}

FigureAxis make_count_axis(const std::vector<double>& values) {
  const double most = values.empty() ? 1 : *std::max_element(values.begin(), values.end());
  const double fewest = values.empty() ? 0 : *std::min_element(values.begin(), values.end());
  FigureAxis axis{AxisScale::linear, fewest < 0.25 * most ? 0 : fewest, most, {}};
  const double space = std::max(axis_margin * (axis.high - axis.low), 0.04 * most);
  axis.low = std::max(axis.low - space, 0.0);
  axis.high += space;
  add_steps(axis, std::max(1.0, std::ceil(nice_step((axis.high - axis.low) / 8))));
  return axis;
}

void thin_labels(FigureAxis& axis, double length,
                 const std::function<double(const std::string&)>& extent) {
  std::vector<Tick*> labelled;
  for (Tick& tick : axis.ticks) {
    if (!tick.text.empty()) labelled.push_back(&tick);
  }
  const auto overlaps = [&](const Tick& a, const Tick& b) {
    const double distance = (axis.position(b.value) - axis.position(a.value)) * length;
    return distance < (extent(a.text) + extent(b.text)) / 2;
  };
  std::size_t stride = 1;
  const auto fits = [&] {
    for (std::size_t i = stride; i < labelled.size(); i += stride) {
      if (overlaps(*labelled[i - stride], *labelled[i])) return false;
    }
    return true;
  };
  while (!fits()) ++stride;
  for (std::size_t i = 0; i < labelled.size(); ++i) {
    if (i % stride != 0) labelled[i]->text.clear();
  }
}

}  // namespace rankfold
