#pragma once

#include <string>

#include "analysis/estimate.h"

namespace rankfold {

/// What is known of a metric by its name.
struct ScoreMetric {
  std::string label;         ///< of an axis: "accuracy, %"
  double factor = 1;         ///< scores times this are shown
  Bounds range = unbounded;  ///< of scores as measured: accuracy 0 to 1, a correlation -1 to 1
  bool less_is_better = false;
  /// Not defined where all predictions are one number (a correlation divides by their deviation);
  /// Matthews' is 0 there by convention.
  bool needs_spread = false;

  Bounds shown_range() const { return {range.low * factor, range.high * factor}; }
};

/// A metric that rankfold does not know has its name as label, the factor 1 and no bounds.
ScoreMetric score_metric(const std::string& name);

}  // namespace rankfold
