#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/statistics/efficiency.h"
#include "analysis/statistics/estimate.h"
#include "analysis/statistics/paired_tests.h"
#include "experiments/runs/results.h"

namespace rankfold {

/// A task as it was scored.
struct ScoreColumn {
  std::string task, metric;
  /// Score of the largest class given to every row; nothing where no run tells it, or runs on other
  /// rows tell another one.
  std::optional<double> majority;
};

/// Scores of a line, on one task or over all. Runs that predicted one class (or one number) for
/// every row are constant. A correlation is not defined for them: where all runs are constant there
/// is no score, among others they count with the 0 that their metric has by convention.
struct ScoreCell {
  std::vector<SeedScore> scores;     ///< by seed (as text); NaN: diverged, or not defined
  std::optional<Estimate> estimate;  ///< empty where there is no run
  std::size_t runs = 0, constant = 0, undefined = 0;
  bool best = false;  ///< see make_score_table

  bool all_constant() const { return constant > 0 && constant == runs; }
};

/// Runs that differ in the task and the seed alone.
struct ScoreLine {
  std::string model, method, rank;
  std::string setting;          ///< what else tells it from lines of its method: "last:2, lr=0.001"
  std::int64_t parameters = 0;  ///< of the adapter
  std::vector<ScoreCell> cells;  ///< one a column, by estimate_mean
  /// Over tasks, by estimate_over_tasks; empty unless all tasks were run. Its scores are the means
  /// over tasks of the seeds that every task has.
  ScoreCell mean;
  std::optional<Estimate> interquartile_mean;

  bool is_reference() const { return method == "none" || method == "full"; }
  std::string name() const;  ///< "lora 8, last:2"
};

struct ScoreTable {
  std::vector<ScoreColumn> columns;  ///< by task
  std::vector<ScoreLine> lines;      ///< by model, method (method_style.h), setting, parameters
  /// Means over tasks: for two tasks or more whose scores are all fractions, or of one metric.
  bool has_mean = false;
  /// For five tasks or more of one metric (estimate_interquartile_mean).
  bool has_interquartile_mean = false;

  /// Of one task, or with no column given over all.
  const ScoreCell& cell(const ScoreLine& line, std::optional<std::size_t> column) const {
    return column ? line.cells[*column] : line.mean;
  }
};

/// Sorts scored results into lines and columns. The best of a column is the line of best mean among
/// those of its model, `none` and `full` aside, where a paired t-test over the seeds (over the
/// seeds' means for the mean over tasks) tells it from every other one: p < 0.05 after Holm's
/// correction. A line whose runs are all constant is never the best. Throws Error naming the row:
/// for a row without a score, two metrics of one task, two runs that differ in nothing, and runs of
/// one line with different numbers of parameters.
ScoreTable make_score_table(const std::vector<ResultRow>& rows);

/// How a method's score grows with its parameters, on one task.
struct MethodCurve {
  std::string model, task, metric, method, setting;
  double smallest = 0, largest = 0;  ///< parameters, of runs that diverged too
  CurveValue area;                   ///< under the score against log10 of the parameters
  std::optional<CurveValue> at_budget;
  /// Where it reaches the share of the score of `full`; empty where that was not run, or is not
  /// positive.
  std::optional<Reach> parameters_to_reach, rank_to_reach;
  /// Sizes with a score, and those of them that nothing dominates, the model without parameters
  /// (`none`) included.
  std::size_t points = 0, on_front = 0;
  std::size_t diverged = 0, constant = 0;  ///< runs; no number here rests on those that diverged
};

/// A curve for every method (and setting) but the references. Runs of equal size are pooled. Throws
/// Error for a metric of which less is better.
std::vector<MethodCurve> measure_curves(const ScoreTable& table, std::optional<double> budget,
                                        double share = 0.99);

/// Two lines compared over their common seeds, as far as their runs were scored on the same rows.
struct LineComparison {
  std::optional<std::size_t> column;  ///< none for all tasks
  const ScoreLine *first = nullptr, *second = nullptr;
  std::size_t unpaired = 0, other_rows = 0;  ///< as of PairedScores
  PairedTest t, wilcoxon;
  std::optional<double> t_adjusted, wilcoxon_adjusted;  ///< by Holm, over the task's comparisons
};

/// Every pair of a model's lines on every task and, for lines that have all tasks, over all tasks
/// (by the seeds' means, as the lines' mean is estimated); with `against` only pairs that have one
/// line of that method. Pairs without a common seed are left out; those of other rows alone have
/// tests of no pair. The comparisons point into the table. Throws Error where no line is of that
/// method.
std::vector<LineComparison> compare_lines(const ScoreTable& table, const std::string& against = "");

}  // namespace rankfold
