#pragma once

#include <cmath>
#include <cstddef>
#include <vector>

// Gradients by differences, for the files of the contract; nothing else includes it.

namespace rankfold::contract {

/// (f(x + h) - f(x - h)) / 2h for every entry of `values`. Where the slopes of the two sides
/// differ, a kink (relu) lies between and h shrinks.
template <class Function>
std::vector<double> central_differences(std::vector<double>& values, Function&& function) {
  const double middle = function();
  std::vector<double> slopes;
  for (double& value : values) {
    const double kept = value;
    double slope = 0;
    for (double step = 1e-3; step > 1e-7; step /= 10) {
      value = kept + step;
      const double right = (function() - middle) / step;
      value = kept - step;
      const double left = (middle - function()) / step;
      slope = (left + right) / 2;
      const double rounding = 1e-13 * std::abs(middle) / step;
      if (std::abs(right - left) <= 1e-7 * std::abs(slope) + rounding) break;
    }
    value = kept;
    slopes.push_back(slope);
  }
  return slopes;
}

/// The same of a smooth function, by five points: exact to the fourth order.
template <class Function>
std::vector<double> smooth_differences(std::vector<double>& values, Function&& function) {
  constexpr double step = 2e-4;
  std::vector<double> slopes;
  for (double& value : values) {
    const double kept = value;
    const auto at = [&](double offset) {
      value = kept + offset;
      return function();
    };
    slopes.push_back((8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step));
    value = kept;
  }
  return slopes;
}

}  // namespace rankfold::contract
