#pragma once

#include <string>
#include <vector>

#include "experiments/runs/results.h"

namespace rankfold {

/// The scores of a paper as results. Rows without a published number of parameters have 0.
struct PublishedRows {
  std::vector<ResultRow> rows;
  std::string sources;  ///< "arXiv 2402.11417 table 1 (flags: re-aligned)"
  /// The axis and the tasks of the paper's own figure; no tasks: all.
  bool linear_parameters = false;
  std::vector<std::string> figure_tasks = {};
};

/// What may be asked for: "lotr", "loretta" (its table 1), "loretta:6", "dora:mt-bench", ...
std::vector<std::string> published_names();

/// Throws UsageError naming the nearest known name.
PublishedRows published_rows(const std::string& name);

}  // namespace rankfold
