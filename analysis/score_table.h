#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/efficiency.h"
#include "analysis/estimate.h"
#include "analysis/paired_tests.h"
#include "analysis/results.h"

namespace rankfold {

/// A task as it was scored.
struct ScoreColumn {
  std::string task, metric;
};

/// A line's scores on one task. Scores are fractions, as in the results.
struct ScoreCell {
  std::vector<KeyedScore> scores;    ///< by seed; a run that diverged has NaN
  std::optional<Estimate> estimate;  ///< Student's interval; empty where there is no run
  bool best = false;                 ///< see make_score_table
};

/// Runs that differ in the task and the seed alone.
struct ScoreLine {
  std::string model, method, rank;
  std::string setting;          ///< what else tells it from lines of its method: "last:2, lr=0.001"
  std::int64_t parameters = 0;  ///< of the adapter
  std::vector<ScoreCell> cells;  ///< one a column
  /// Over tasks, by the stratified bootstrap; empty where there is one task, or one was not run.
  std::optional<Estimate> mean, interquartile_mean;
  bool best_mean = false;

  bool is_reference() const { return method == "none" || method == "full"; }
  std::string name() const;  ///< "lora 8, last:2"
};

struct ScoreTable {
  std::vector<ScoreColumn> columns;  ///< by task
  std::vector<ScoreLine> lines;      ///< by model, method (method_style.h), setting, parameters
};

/// Sorts scored results into lines and columns. The best of a column is the line of highest mean
/// among those of its model, `none` and `full` aside, where a paired t-test over the seeds (and
/// tasks, for the mean) tells it from every other one: p < 0.05 after Holm's correction. Throws
/// Error naming the row: for a row without a score, two metrics of one task, two runs that differ
/// in nothing, and runs of one line with different numbers of parameters.
ScoreTable make_score_table(const std::vector<ResultRow>& rows);

/// How a method's score grows with its parameters, on one task.
struct MethodCurve {
  std::string model, task, metric, method, setting;
  double smallest = 0, largest = 0;  ///< parameters
  CurveValue area;                   ///< under the score against log10 of the parameters
  std::optional<CurveValue> at_budget;
  /// Where it reaches the share of the score of `full`; empty where that was not run, or is not
  /// positive.
  std::optional<Reach> parameters_to_reach, rank_to_reach;
  std::size_t points = 0, on_front = 0;  ///< sizes, and those of them that nothing dominates
  std::size_t diverged = 0;              ///< runs, which no number here rests on
};

/// A curve for every method (and setting) but the references. Runs of equal size are pooled.
std::vector<MethodCurve> measure_curves(const ScoreTable& table, std::optional<double> budget,
                                        double share = 0.99);

/// Two lines compared over their common seeds.
struct LineComparison {
  std::string model, task;  ///< "" for all tasks
  const ScoreLine *first = nullptr, *second = nullptr;
  std::size_t unpaired = 0;
  PairedTest t, wilcoxon;
  std::optional<double> t_adjusted, wilcoxon_adjusted;  ///< by Holm, over the task's comparisons
};

/// Every pair of a model's lines on every task, and on all tasks together where there are several;
/// with `against` only pairs that have one line of that method. Pairs without a common seed are
/// left out. Throws Error where no line is of that method.
std::vector<LineComparison> compare_lines(const ScoreTable& table, const std::string& against = "");

}  // namespace rankfold
