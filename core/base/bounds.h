#pragma once

#include <cmath>

namespace rankfold {

/// What a quantity can be: from `low` to `high`, both included.
struct Bounds {
  double low = 0, high = 0;
};
inline constexpr Bounds unbounded = {-INFINITY, INFINITY};

}  // namespace rankfold
