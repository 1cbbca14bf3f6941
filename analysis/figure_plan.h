#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/figure_kind.h"
#include "analysis/results.h"
#include "analysis/statistics.h"

namespace rankfold {

/// What a figure shows, before any thought of how it is drawn.
struct FigurePoint {
  double x = 0;    ///< on the figure's horizontal axis
  Interval value;  ///< in drawn units: scores times 100, parameters as they are
  int runs = 0;
  std::string rank, layers;
  std::int64_t parameters = 0;
  std::optional<std::int64_t> trainable;
};

struct FigureLine {
  std::string method;
  std::string name;      ///< in the legend: method, then what tells it from others of the method
  std::string csv_name;  ///< the same without layers, which have a column of their own
  int variant = 0;       ///< 0, 1, ... among the legend entries of its method
  std::vector<FigurePoint> points;  ///< by ascending x, then parameters
};

/// Where ranks are written beside the data.
enum class RankLabels { none, at_points, at_line_ends };

enum class AxisScale { linear, log2, log10 };

struct FigurePanel {
  std::string title, y_label;
  AxisScale y_scale = AxisScale::linear;
  std::vector<FigureLine> lines;
  std::vector<FigureLine> references;  ///< horizontal lines, one point each, name is their label
};

struct FigurePlan {
  std::string x_label;
  AxisScale x_scale = AxisScale::linear;
  RankLabels rank_labels = RankLabels::none;
  std::vector<FigurePanel> panels;
  std::string note;  ///< what the intervals are, the model, the rows trained on
};

/// Sorts results into panels, lines and points. Points are means over the runs that differ in
/// nothing but the seed (statistics.h tells the interval); runs with different parameter counts are
/// never averaged.
///
/// parameter_efficiency: score against parameters, a panel per task (and model, where several).
/// error: relative error of fits (rows whose metric is relative_error) against parameters, both
/// logarithmic, a panel per model; a reference without error (`full`) is left out.
/// rank: parameters, then each task's score, against the rank (geometric mean of one per mode).
/// depth: the same against the number of adapted layers.
/// Rows without a score give the panels of parameters only. `none`, and `full` where it has no
/// place on the horizontal axis, are horizontal references.
/// A line is a method; one whose layers, targets or rows trained on vary, or that has several
/// settings at one rank, has a line for each.
///
/// Throws Error naming the row where a value is missing or has no place on its axis.
FigurePlan plan_figure(FigureKind kind, const std::vector<ResultRow>& rows, ParameterAxis axis);

/// The drawn values as CSV: panel, method, rank, layers, parameters, trainable, mean, low, high,
/// runs; `method` is the line's name without its layers.
std::string figure_csv(const FigurePlan& plan);

/// 960, 73.7k, 2.36M, 1.2G: three significant digits.
std::string short_count(std::int64_t count);

}  // namespace rankfold
