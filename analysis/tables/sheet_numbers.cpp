#include "analysis/tables/sheet_numbers.h"

#include <cmath>

#include <fmt/core.h>

namespace rankfold {

std::string fixed_text(double value, int decimals) {
  if (value == 0) return fmt::format("{:.{}f}", 0.0, decimals);
  if (std::abs(value) >= 1e15) return fmt::format("{:.{}e}", value, decimals);
  std::string text = fmt::format("{:.{}f}", value, decimals);
  const bool vanishes = text.find_first_not_of("-0.") == std::string::npos;
  return vanishes ? fmt::format("{:.{}e}", value, decimals) : text;
}

std::string signed_text(double value, int decimals) {
  return (value > 0 ? "+" : "") + fixed_text(value, decimals);
}

std::string SpreadText::with_sign() const {
  if (above.empty()) return "";
  return below.empty() ? " \u00b1 " + above : " -" + below + "/+" + above;
}

SpreadText spread_text(const Estimate& estimate, int decimals, double factor) {
  if (!estimate.value || !estimate.interval) return {};
  const double above = (estimate.interval->high - *estimate.value) * factor;
  const double below = (*estimate.value - estimate.interval->low) * factor;
  SpreadText text{fixed_text(above, decimals), ""};
  // Up to the rounding of the ends the two sides are one number, unless one was cut off.
  if (std::abs(above - below) > 1e-6 * std::max(above, below))
    text.below = fixed_text(below, decimals);
  return text;
}

std::string diverged_text(std::size_t runs) {
  return runs == 0 ? "" : fmt::format("{} diverged", runs);
}

}  // namespace rankfold
