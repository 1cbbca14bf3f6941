#include "experiments/runs/score_metric.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

namespace rankfold {

namespace {

const std::string& usual_name(const std::string& name) {
  const auto found = std::ranges::find(metric_aliases(), name, &MetricAlias::alias);
  return found == metric_aliases().end() ? name : found->metric;
}

/// Whether a word of the name is that of an error, of which less is better: eval_loss, test-rmse.
bool names_an_error(const std::string& name) {
  static const std::set<std::string> errors = {"loss", "nll", "error",      "errors", "err", "mse",
                                               "rmse", "mae", "mape",       "ppl",    "wer", "cer",
                                               "eer",  "fid", "perplexity", "brier",  "ece"};
  std::string word;
  for (const char letter : name + "_") {
    const bool is_letter = std::isalpha(static_cast<unsigned char>(letter)) != 0;
    if (is_letter) {
      word += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    } else {
      if (errors.contains(word)) return true;
      word.clear();
    }
  }
  return false;
}

}  // namespace

const std::vector<MetricAlias>& metric_aliases() {
  static const std::vector<MetricAlias> table = {{"acc", "accuracy"},
                                                 {"mcc", "matthews_correlation"},
                                                 {"matthews_corrcoef", "matthews_correlation"},
                                                 {"pearsonr", "pearson"},
                                                 {"spearmanr", "spearman", true},
                                                 {"f1_score", "f1"}};
  return table;
}

ScoreMetric score_metric(const std::string& name) {
  constexpr Bounds share = {0, 1}, correlation = {-1, 1}, error = {0, INFINITY};
  static const std::map<std::string, ScoreMetric> metrics = {
      {"accuracy", {"accuracy, %", 100, share}},
      {"accuracy_mismatched", {"accuracy of mismatched, %", 100, share}},
      {"matthews_correlation", {"Matthews correlation \u00d7 100", 100, correlation}},
      {"pearson", {"Pearson correlation \u00d7 100", 100, correlation, false, true}},
      {"spearman", {"Spearman correlation \u00d7 100", 100, correlation, false, true}},
      {"f1", {"F1 \u00d7 100", 100, share}},
      {"exact_match", {"exact match, %", 100, share}},
      {"accuracy or f1", {"accuracy or F1, %", 100, share}},
      {"pearson or spearman", {"Pearson or Spearman \u00d7 100", 100, correlation, false, true}},
      {"mean", {"mean over tasks \u00d7 100", 100, correlation}},
      {"relative_error", {"relative_error", 1, error, true}}};
  const auto known = metrics.find(usual_name(name));
  if (known != metrics.end()) return known->second;
  ScoreMetric metric;
  metric.label = name;
  metric.is_known = false;
  if (names_an_error(name)) {
    metric.range = error;
    metric.less_is_better = true;
  }
  return metric;
}

}  // namespace rankfold
