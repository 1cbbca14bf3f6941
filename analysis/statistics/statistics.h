#pragma once

#include <span>

namespace rankfold {

/// (x_1 + ... + x_n) / n, independent of the order of the values; equal values are their own mean,
/// to the last bit. Throws Error where there are none.
double mean(std::span<const double> values);

/// The standard error of the mean, sqrt(sum (x_i - mean)^2 / (n - 1) / n). Throws Error for n < 2.
double standard_error(std::span<const double> values);

}  // namespace rankfold
