#include "analysis/score_metric.h"

#include <map>

namespace rankfold {

ScoreMetric score_metric(const std::string& name) {
  constexpr Bounds share = {0, 1}, correlation = {-1, 1}, error = {0, INFINITY};
  static const std::map<std::string, ScoreMetric> metrics = {
      {"accuracy", {"accuracy, %", 100, share}},
      {"matthews_correlation", {"Matthews correlation \u00d7 100", 100, correlation}},
      {"pearson", {"Pearson correlation \u00d7 100", 100, correlation, false, true}},
      {"spearman", {"Spearman correlation \u00d7 100", 100, correlation, false, true}},
      {"f1", {"F1 \u00d7 100", 100, share}},
      {"accuracy or f1", {"accuracy or F1, %", 100, share}},
      {"pearson or spearman", {"Pearson or Spearman \u00d7 100", 100, correlation, false, true}},
      {"mean", {"mean over tasks \u00d7 100", 100, correlation}},
      {"relative_error", {"relative_error", 1, error, true}}};
  const auto known = metrics.find(name);
  if (known != metrics.end()) return known->second;
  ScoreMetric metric;
  metric.label = name;
  return metric;
}

}  // namespace rankfold
