#pragma once

#include <compare>
#include <map>
#include <string>
#include <vector>

#include "analysis/statistics/estimate.h"
#include "experiments/runs/results.h"

namespace rankfold {

/// Scores as an overview shows them: whatever the results hold, with every setting that varies in a
/// column of its own. ScoreTable is stricter: it names lines as figures do, tests them, and refuses
/// what it could not tell apart.
struct ScoreGroups {
  /// A task has one for every metric.
  struct Column {
    std::string task, metric;
    auto operator<=>(const Column&) const = default;
  };
  /// Runs that differ in the task and the seed alone.
  struct Line {
    std::string model, method, rank;
    std::vector<std::string> settings;  ///< one for each of ScoreGroups::settings
    std::map<Column, Estimate> scores;  ///< by estimate_mean, of what there is
  };

  std::vector<Column> columns;        ///< by task, then metric
  std::vector<std::string> settings;  ///< those that tell runs of some method apart
  std::vector<Line> lines;  ///< by model, method (method_style.h), rank as a number, settings
};

/// Of the rows that have a score.
ScoreGroups group_scores(const std::vector<ResultRow>& rows);

}  // namespace rankfold
