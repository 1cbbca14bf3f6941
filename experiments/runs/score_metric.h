#pragma once

#include <string>
#include <vector>

#include "core/base/bounds.h"

namespace rankfold {

/// What is known of a metric by its name.
struct ScoreMetric {
  std::string label;         ///< of an axis: "accuracy, %"
  double factor = 1;         ///< scores times this are shown
  Bounds range = unbounded;  ///< of scores as measured: accuracy 0 to 1, a correlation -1 to 1
  bool less_is_better = false;
  /// Not defined where all predictions are one number (a correlation divides by their deviation).
  /// Matthews' is 0 for one class, as scikit-learn has it.
  bool needs_spread = false;

  bool is_known = true;  ///< else its name alone tells whether less of it is better

  Bounds shown_range() const { return {range.low * factor, range.high * factor}; }
};

/// A name that other programs have for a metric known here.
struct MetricAlias {
  std::string alias, metric;
  bool in_tags = false;  ///< Hugging Face's trainer logs it as eval/<alias>, and so do runs
};
const std::vector<MetricAlias>& metric_aliases();

/// A metric that rankfold does not know has its name as label and the factor 1. Where a word of the
/// name is that of an error (loss, mse, rmse, mae, perplexity, ...), less is better and it is 0 or
/// more; else more is better and there are no bounds. acc, mcc, pearsonr, spearmanr are known.
ScoreMetric score_metric(const std::string& name);

}  // namespace rankfold
