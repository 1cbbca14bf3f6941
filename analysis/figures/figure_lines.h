#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "analysis/figures/figure_plan.h"
#include "analysis/figures/line_split.h"

namespace rankfold {

/// What the plans of all kinds share: how rows become lines, panels and notes.
using Rows = std::vector<const ResultRow*>;

/// What a panel reads from a row.
struct PanelValues {
  std::function<double(const ResultRow&)> value;  ///< in drawn units
  bool exact = false;                             ///< the same in every run: without intervals
  bool is_score = false;                          ///< of predictions, which may be constant
};

class LinePlanner {
 public:
  LinePlanner(FigureKind kind, const std::vector<ResultRow>& rows, ParameterAxis axis)
      : kind_(kind), axis_(axis), split_(kind, rows) {}

  const LineSplit& split() const { return split_; }
  FigureKind kind() const { return kind_; }
  ParameterAxis axis() const { return axis_; }
  /// A horizontal line: `none`, `full` where the axis has no place for it, and on the axis of ranks
  /// what has none.
  bool is_reference(const ResultRow& row) const;
  /// Where the row stands on the kind's horizontal axis. Throws Error where it has no place.
  double x_of(const ResultRow& row) const;
  /// On the figure's axis of parameters. Throws Error where the count is missing.
  std::int64_t parameters_of(const ResultRow& row) const;
  /// Sorts the rows into the panel's lines and references; intervals end with what the panel's
  /// quantity can be. Throws Error for a value that has no
  /// place on a logarithmic axis.
  void add_lines(FigurePanel& panel, const Rows& rows, const PanelValues& values) const;

 private:
  FigurePoint point(const Rows& runs, const PanelValues& values, const Bounds& possible) const;
  std::string reference_name(const std::string& name, const FigurePoint& point) const;

  FigureKind kind_;
  ParameterAxis axis_;
  LineSplit split_;
};

/// Without points.
FigureLine line_named(const LineName& name);

/// Label and factor of a metric's axis: "accuracy, %" and 100.
std::pair<std::string, double> label_of_metric(const std::string& metric);

/// The setting score-on: dev where it is not told.
std::string scored_rows(const ResultRow& row);
/// The model as figures name it: the last part of a path, a Hub's id as it is.
std::string shown_model(const std::string& model);

/// Rows of each task (or of none) and model that have the task's main metric. Throws Error where a
/// run was not scored by it: metrics are not mixed in one panel.
std::map<std::pair<std::string, std::string>, Rows> by_task(const Rows& rows);

/// The one number of rows that all were trained on, or nothing.
std::optional<std::int64_t> common_train_rows(const Rows& rows);

/// "sst2", or with what else tells the panel apart: "sst2, bert (first 600 rows)".
std::string panel_title(const std::string& task, const std::string& model, bool one_model,
                        const Rows& of_task, const Rows& all);

/// "Model: roberta-base." where there is one.
std::string model_note(const std::set<std::string>& models);

/// What stands in every kind's note: how many runs the points have ("seeds" where they differ in
/// nothing else), how their spread is shown, how many runs diverged or gave one answer only.
std::string interval_note(const std::vector<FigurePanel>& panels, Spread spread,
                          const char* runs = "seeds");

/// The spread that was asked for, or that which can be read in every panel: bands where there are
/// few, else bars, or dots where bars would be as long as the panel is high.
Spread spread_of(const FigureLook& look, const std::vector<FigurePanel>& panels);

/// The sentences that are not empty.
std::string join_sentences(const std::vector<std::string>& sentences);

// One of each kind; plan_figure chooses.
FigurePlan plan_scores(FigureKind kind, const std::vector<ResultRow>& rows,
                       const FigureOptions& options);
FigurePlan plan_errors(const std::vector<ResultRow>& rows, const FigureOptions& options);
FigurePlan plan_costs(const std::vector<ResultRow>& rows, const FigureOptions& options);
FigurePlan plan_convergence(const std::vector<ResultRow>& rows, const FigureOptions& options);
FigurePlan plan_forwards(const std::vector<ResultRow>& rows, const FigureOptions& options);

}  // namespace rankfold
