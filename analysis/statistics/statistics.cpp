#include "analysis/statistics/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/error.h"

namespace rankfold {

double mean(std::span<const double> values) {
  if (values.empty()) throw Error("the mean of no values is not defined");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  if (sorted.front() == sorted.back()) return sorted.front();
  return std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
}

double standard_error(std::span<const double> values) {
  if (values.size() < 2) {
    throw Error("the standard error of {} values is not defined: expected 2 or more",
                values.size());
  }
  const double center = mean(values);
  std::vector<double> deviations;
  double largest = 0;
  for (double value : values) {
    deviations.push_back(std::abs(value - center));
    largest = std::max(largest, deviations.back());
  }
  if (largest == 0) return 0;
  // Squares of deviations over the largest one neither underflow nor overflow.
  for (double& deviation : deviations) deviation = std::pow(deviation / largest, 2);
  return largest * std::sqrt(mean(deviations) / static_cast<double>(values.size() - 1));
}

}  // namespace rankfold
