#include "experiments/runs/run_tags.h"

#include <set>

#include "experiments/runs/score_metric.h"

namespace rankfold {

std::string score_tag(const std::string& metric) {
  for (const MetricAlias& known : metric_aliases())
    if (known.in_tags && known.metric == metric) return "eval/" + known.alias;
  return "eval/" + metric;
}

std::string metric_of_tag(const std::string& tag) {
  static const std::set<std::string> others = {"loss",
                                               "epoch",
                                               "runtime",
                                               "samples_per_second",
                                               "steps_per_second",
                                               "model_preparation_time"};
  if (!tag.starts_with("eval/")) return "";
  const std::string name = tag.substr(5);
  if (others.contains(name)) return "";
  for (const MetricAlias& known : metric_aliases())
    if (known.in_tags && known.alias == name) return known.metric;
  return name;
}

}  // namespace rankfold
