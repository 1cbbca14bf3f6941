#include "experiments/runs/run_tags.h"

#include <set>

namespace rankfold {

std::string score_tag(const std::string& metric) {
  return "eval/" + (metric == "spearman" ? "spearmanr" : metric);
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
  return name == "spearmanr" ? "spearman" : name;
}

}  // namespace rankfold
