#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "analysis/figures/figure_kind.h"
#include "analysis/figures/method_style.h"
#include "analysis/figures/spectrum.h"
#include "analysis/statistics/estimate.h"
#include "experiments/runs/results.h"

namespace rankfold {

/// What a figure shows, before any thought of how it is drawn.
struct FigurePoint {
  double x = 0;    ///< on the panel's horizontal axis
  Estimate value;  ///< in drawn units: scores times 100, parameters as they are
  std::string rank, layers;
  std::int64_t parameters = 0;
  std::optional<std::int64_t> trainable;
  bool dominated = false;  ///< drawn pale: another point of the panel has no more parameters and a
                           ///< score no lower, and is better in one of the two; or `none` has
  std::vector<double> runs = {};  ///< the values that the mean is of
  std::size_t constant = 0;       ///< of them, runs that gave every row one class (or one number)
};

struct FigureLine {
  LineLook look;
  std::string name;      ///< in the legend: method, then what tells it from others of the method
  std::string csv_name;  ///< the same without layers, which have a column of their own
  std::vector<FigurePoint> points;  ///< by ascending x, then parameters
};

/// Where ranks are written beside the data.
enum class RankLabels { none, at_points, at_line_ends };

/// Which ranks are written: those that can be read (the front and the ends of lines first), every
/// one that finds a place, those of points on the front, or none.
enum class LabelChoice { readable, all, front, none };

/// How the spread of a point's runs is shown: its interval as a band along the line or as a bar at
/// the point, or each run as a dot.
enum class Spread { band, bars, dots };

enum class AxisScale { linear, log2, log10 };

struct FigurePanel {
  std::string title;
  std::string x_label;
  AxisScale x_scale = AxisScale::linear;
  std::string y_label;
  AxisScale y_scale = AxisScale::linear;
  std::vector<FigureLine> lines = {};
  std::vector<FigureLine> references =
      {};  ///< horizontal lines, one point each, name is their label
  Bounds possible = {-INFINITY, INFINITY};  ///< of the quantity: bands show nothing else
  std::size_t x_group = 0;  ///< panels of one group share the range of their horizontal axis
  std::size_t y_group = 0;  ///< the same for the vertical one; of group 0 each has its own
  bool is_dense = false;    ///< markers at some of a line's points only
  std::optional<Bounds> x_range = {}, y_range = {};  ///< what is shown, where it was asked for
  std::string group = "";  ///< neighbours of one group stand side by side: the panels of a task
};

struct FigurePlan {
  RankLabels rank_labels = RankLabels::none;
  std::vector<FigurePanel> panels;
  std::string note;  ///< what the intervals are, the model, the rows trained on, what diverged
  LabelChoice labels = LabelChoice::readable;
  Spread spread = Spread::band;
  bool is_small_multiple = false;  ///< many small panels, of which neighbours share their axes
};

/// How a figure is to look, whatever it shows. Ranges are in drawn units (percent).
struct FigureLook {
  LabelChoice labels = LabelChoice::readable;
  std::optional<Spread> spread = {};  ///< empty: what can be read
  std::optional<Bounds> x_range = {}, y_range = {};
  bool methods_apart = false;  ///< a panel for each method, with the others behind it in grey
};

/// What else decides on a figure, beside its kind and rows.
struct FigureOptions {
  ParameterAxis axis = ParameterAxis::adapter;
  /// parameter_efficiency with a linear axis of parameters in millions, as LoTR's figure has it.
  bool linear_parameters = false;
  /// Where all rows are published ones: their sources, for the note. They have no intervals.
  std::string sources = {};
  /// Published rows, drawn grey and hollow behind the others' points of the same task, and their
  /// sources. parameter_efficiency, rank and depth only.
  std::vector<ResultRow> overlay = {};
  std::string overlay_sources = {};
  FigureLook look = {};
};

/// Sorts results into panels, lines and points. Points are means over the runs that differ in
/// nothing but the seed, with Student's 95 % interval (estimate_mean); runs with different
/// parameter counts are never averaged, and those that diverged are counted and take no part.
///
/// parameter_efficiency: score against parameters, a panel per task (and model, where several);
/// points that another one dominates are pale.
/// error: relative error of fits (rows whose metric is relative_error) against parameters, both
/// logarithmic, a panel per model; a reference without error (`full`) is left out.
/// rank: parameters, then each task's score, against the rank (geometric mean of one per mode).
/// depth: the same against the number of adapted layers.
/// learning_rate: score against the learning rate, a panel per task, a line per method and rank.
/// Where depth or learning_rate would have more lines than can be told apart, each method's
/// best-scoring rank is drawn; where a method has that many settings, the best one at each of its
/// points; the note says so.
/// cost: tokens per second and peak memory against parameters, two panels per task.
/// convergence: training loss against step and against seconds, two panels per task, from the event
/// files beside each run.json. Where a task has more than eight lines, each method's best-scoring
/// one is drawn. Seconds are those of training, spread evenly over its steps.
/// forwards: the score of a run's evaluations against the forward passes that its steps had taken,
/// a panel per task, from run.json; one pass a batch by backpropagation, two a direction in zeroth
/// order. Lines as in convergence.
/// Rows without a score give the panels of parameters only. `none`, and `full` where it has no
/// place on the horizontal axis, are horizontal references; so is the score of the largest class
/// where a run does not score above it.
/// A line is a method; one whose layers, targets or rows trained on vary, or that has several
/// settings at one rank, has a line for each.
///
/// Throws Error naming the row where a value is missing or has no place on its axis, where runs
/// of one panel were scored by different metrics, where no line has
/// two points along depth or learning_rate, and where no point lies in the look's ranges;
/// UsageError where those do not suit the kind.
FigurePlan plan_figure(FigureKind kind, const std::vector<ResultRow>& rows,
                       const FigureOptions& options = {});

/// Singular values of updates against their index, a panel per matrix type, a line per layer.
FigurePlan plan_spectrum(const std::vector<SingularValue>& values, const FigureLook& look = {});

/// Every text of the figure but the numbers of its axes.
std::vector<std::string> drawn_texts(const FigurePlan& plan);

/// The drawn values as CSV: panel, method, rank, layers, parameters, trainable, mean, low, high,
/// runs, diverged, x; `method` is the line's name without its layers, `runs` are those that the
/// mean is of. What is unknown is empty.
std::string figure_csv(const FigurePlan& plan);
/// What every such CSV begins with.
inline constexpr const char* csv_beginning = "panel,method,rank,layers,parameters,trainable,mean,";

/// 960, 73.7k, 2.36M, 1.2G: three significant digits.
std::string short_count(std::int64_t count);

}  // namespace rankfold
