#pragma once

#include <optional>
#include <string>

#include "analysis/statistics/estimate.h"

namespace rankfold {

/// Numbers as tables show them: with `decimals` digits behind the point; in scientific notation
/// where those would be all zeros and the number is not 0 (3.20e-07, 1.00e-200), or where it is
/// 1e15 or more. Zero has no sign.
std::string fixed_text(double value, int decimals);
/// The same with a sign, + or -, but for zero.
std::string signed_text(double value, int decimals);

/// How far an interval reaches from its value. Both sides are alike ("1.32") unless the quantity
/// ends on one of them: an accuracy of 0.9 has 0.1 above it. Empty for no interval.
struct SpreadText {
  std::string above, below;  ///< `below` is "" where the two sides are alike

  std::string with_sign() const;  ///< " \u00b1 1.32", " -80.00/+20.00", ""
};
SpreadText spread_text(const Estimate& estimate, int decimals, double factor = 1);

/// "1 diverged", "2 diverged"; "" for none.
std::string diverged_text(std::size_t runs);

}  // namespace rankfold
