#include "analysis/statistics/distributions.h"

#include <cmath>
#include <limits>
#include <numbers>

#include "core/base/error.h"

namespace rankfold {
namespace {

/// The continued fraction 1 / (1 + d1 / (1 + d2 / (1 + ...))) of DLMF 8.17.22.
double beta_fraction(double a, double b, double x) {
  const double tiny = std::numeric_limits<double>::min() / std::numeric_limits<double>::epsilon();
  const auto off_zero = [tiny](double value) { return std::abs(value) < tiny ? tiny : value; };
  double numerator = 1;
  double denominator = 1 / off_zero(1 - (a + b) * x / (a + 1));
  double value = denominator;
  for (int m = 1; m <= 10000; ++m) {
    const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    denominator = 1 / off_zero(1 + even * denominator);
    numerator = off_zero(1 + even / numerator);
    value *= denominator * numerator;
    const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    denominator = 1 / off_zero(1 + odd * denominator);
    numerator = off_zero(1 + odd / numerator);
    const double step = denominator * numerator;
    value *= step;
    if (std::abs(step - 1) < std::numeric_limits<double>::epsilon()) return value;
  }
  throw Error("the incomplete beta function did not converge for a = {}, b = {}, x = {}", a, b, x);
}

/// I_x(a, b) with rest = 1 - x given, which keeps its digits where x is near 1.
double incomplete_beta(double a, double b, double x, double rest) {
  if (x <= 0) return 0;
  if (rest <= 0) return 1;
  const double log_x = x < 0.5 ? std::log(x) : std::log1p(-rest);
  const double log_rest = rest < 0.5 ? std::log(rest) : std::log1p(-x);
  const double front =
      std::exp(std::lgamma(a + b) - std::lgamma(a) - std::lgamma(b) + a * log_x + b * log_rest);
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, rest) / b;
}

}  // namespace

double incomplete_beta(double a, double b, double x) {
  if (!(a > 0) || !(b > 0) || !(x >= 0 && x <= 1)) {
    throw Error(
        "the incomplete beta function of a = {}, b = {}, x = {} is not defined: expected "
        "a > 0, b > 0 and x from 0 to 1",
        a, b, x);
  }
  return incomplete_beta(a, b, x, 1 - x);
}

double student_t_two_sided(double t, double degrees_of_freedom) {
  if (!(degrees_of_freedom > 0) || std::isnan(t)) {
    throw Error("Student's t of {} with {} degrees of freedom is not defined", t,
                degrees_of_freedom);
  }
  const double square = t * t;
  if (std::isinf(square)) return 0;
  const double total = degrees_of_freedom + square;
  return incomplete_beta(degrees_of_freedom / 2, 0.5, degrees_of_freedom / total, square / total);
}

double student_t_quantile(double confidence, double degrees_of_freedom) {
  if (!(confidence > 0 && confidence < 1)) {
    throw Error("a confidence of {} has no interval: expected a number between 0 and 1",
                confidence);
  }
  const double outside = 1 - confidence;
  double low = 0, high = 1;
  while (student_t_two_sided(high, degrees_of_freedom) > outside) high *= 2;
  for (;;) {
    const double middle = low + (high - low) / 2;
    if (middle <= low || middle >= high) return middle;
    (student_t_two_sided(middle, degrees_of_freedom) > outside ? low : high) = middle;
  }
}

double normal_two_sided(double z) {
  return std::erfc(std::abs(z) / std::numbers::sqrt2);
}

}  // namespace rankfold
