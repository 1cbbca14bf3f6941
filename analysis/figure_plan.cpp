#include "analysis/figure_plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "analysis/csv.h"
#include "analysis/line_split.h"
#include "analysis/method_style.h"
#include "core/error.h"

namespace rankfold {
namespace {

using Rows = std::vector<const ResultRow*>;

std::int64_t parameters_on(ParameterAxis axis, const ResultRow& row) {
  if (axis == ParameterAxis::adapter) return row.parameters;
  if (!row.trainable) {
    throw Error(
        "{}: the number of trainable parameters is missing (column trainable): it is needed "
        "for the axis that counts them",
        row.origin);
  }
  return *row.trainable;
}

double depth_of(const ResultRow& row) {
  const auto layers = adapted_layer_count(row);
  if (!layers) {
    throw Error(
        "{}: the number of adapted layers is not known from layers '{}': expected first:N, "
        "last:N, a list, or a column adapted_layers",
        row.origin, row.layers);
  }
  return static_cast<double>(*layers);
}

double rank_of(const ResultRow& row) {
  const auto position = rank_position(row.rank);
  if (!position) {
    throw Error("{}: rank '{}' of method {} has no place on the axis of ranks: expected 1 or more",
                row.origin, row.rank, row.method);
  }
  return *position;
}

/// Draws one set of panels; the pieces that all of them need.
struct Planner {
  FigureKind kind;
  ParameterAxis axis;
  LineSplit split;

  bool is_reference(const ResultRow& row) const {
    if (row.method == "none") return true;
    return row.method == "full" && (kind != FigureKind::depth || !split.has_depths("full"));
  }

  double x_of(const ResultRow& row) const {
    if (kind == FigureKind::rank) return rank_of(row);
    if (kind == FigureKind::depth) return depth_of(row);
    const auto parameters = parameters_on(axis, row);
    if (parameters == 0) {
      throw Error("{}: method {} has 0 parameters, which have no place on a logarithmic axis",
                  row.origin, row.method);
    }
    return static_cast<double>(parameters);
  }

  FigurePoint point(const Rows& runs, bool of_parameters, double factor) const {
    const ResultRow& first = *runs.front();
    FigurePoint point;
    point.rank = first.rank;
    point.layers = first.layers;
    point.parameters = first.parameters;
    point.trainable = first.trainable;
    point.runs = static_cast<int>(runs.size());
    std::vector<double> values;
    for (const ResultRow* run : runs) {
      values.push_back(of_parameters ? static_cast<double>(parameters_on(axis, *run))
                                     : *run->score * factor);
    }
    point.value = interval(values);
    return point;
  }

  std::string reference_name(const std::string& name, const FigurePoint& point) const {
    if (point.parameters == 0) return kind == FigureKind::error ? name : name + " (head only)";
    const bool trainable = axis == ParameterAxis::trainable && point.trainable;
    return name + ", " + short_count(trainable ? *point.trainable : point.parameters);
  }

  void add_lines(FigurePanel& panel, const Rows& rows, bool of_parameters, double factor) const {
    using Key = std::tuple<double, std::string, std::string, std::int64_t>;
    std::map<LineName, std::map<Key, Rows>> lines, references;
    for (const ResultRow* row : rows) {
      if (is_reference(*row)) {
        const auto name = split.reference_name(*row);
        references[name][{0.0, row->rank, row->layers, row->parameters}].push_back(row);
        continue;
      }
      const double x = x_of(*row);
      for (const LineName& name : split.lines_of(*row)) {
        lines[name][{x, row->rank, row->layers, row->parameters}].push_back(row);
      }
    }
    for (const auto& [name, points] : lines) {
      FigureLine line{name.method, name.legend, name.csv_name, name.variant, {}};
      for (const auto& [key, runs] : points) {
        line.points.push_back(point(runs, of_parameters, factor));
        line.points.back().x = std::get<0>(key);
        if (panel.y_scale == AxisScale::log10 && line.points.back().value.mean <= 0) {
          throw Error("{}: method {} has {}, which has no place on a logarithmic axis",
                      runs.front()->origin, name.method,
                      of_parameters ? "a number of parameters of 0" : "an error of 0");
        }
      }
      panel.lines.push_back(std::move(line));
    }
    for (const auto& [name, points] : references) {
      for (const auto& [key, runs] : points) {
        const FigurePoint value = point(runs, of_parameters, factor);
        if (panel.y_scale == AxisScale::log10 && value.value.mean <= 0) continue;
        panel.references.push_back({name.method,
                                    reference_name(name.legend, value),
                                    name.csv_name,
                                    name.variant,
                                    {value}});
      }
    }
    std::stable_sort(panel.lines.begin(), panel.lines.end(), [](const auto& a, const auto& b) {
      return method_order(a.method) < method_order(b.method);
    });
  }
};

std::pair<std::string, double> label_of_metric(const std::string& metric) {
  static const std::map<std::string, std::string> labels = {
      {"accuracy", "accuracy, %"},
      {"matthews_correlation", "Matthews correlation \u00d7 100"},
      {"pearson", "Pearson correlation \u00d7 100"},
      {"spearman", "Spearman correlation \u00d7 100"},
      {"f1", "F1 \u00d7 100"}};
  const auto known = labels.find(metric);
  return known == labels.end() ? std::pair(metric, 1.0) : std::pair(known->second, 100.0);
}

/// The one number of rows that all were trained on, or nothing.
std::optional<std::int64_t> common_train_rows(const Rows& rows) {
  const auto same = [&](const ResultRow* row) { return row->train_rows == rows[0]->train_rows; };
  return std::all_of(rows.begin(), rows.end(), same) ? rows[0]->train_rows : std::nullopt;
}

/// Rows of each task (or of none) and model whose metric is the task's main one.
std::map<std::pair<std::string, std::string>, Rows> by_task(const Rows& rows) {
  std::map<std::string, std::vector<std::string>> metrics;
  for (const ResultRow* row : rows) metrics[row->task].push_back(row->metric);
  std::map<std::pair<std::string, std::string>, Rows> tasks;
  for (const ResultRow* row : rows) {
    if (row->metric != main_metric(row->task, metrics[row->task])) continue;
    tasks[{row->task, row->model}].push_back(row);
  }
  return tasks;
}

std::string interval_note(FigureKind kind, const std::vector<FigurePanel>& panels) {
  int fewest = 0, most = 0;
  const auto count = [&](const FigureLine& line) {
    for (const FigurePoint& point : line.points) {
      fewest = fewest == 0 ? point.runs : std::min(fewest, point.runs);
      most = std::max(most, point.runs);
    }
  };
  for (const FigurePanel& panel : panels) {
    // Panels of parameters have no intervals.
    if (kind != FigureKind::error && panel.y_scale != AxisScale::linear) continue;
    for (const FigureLine& line : panel.lines) count(line);
    for (const FigureLine& line : panel.references) count(line);
  }
  if (most == 0) return "";
  if (most == 1) return "One run for each point.";
  const std::string seeds =
      fewest == most ? std::to_string(most) : fmt::format("{} to {}", fewest, most);
  if (fewest >= 3) return fmt::format("Mean of {} seeds, band: \u00b1 standard error.", seeds);
  if (most < 3) return fmt::format("Mean of {} seeds, band: smallest to largest.", seeds);
  return fmt::format(
      "Mean of {} seeds, band: \u00b1 standard error (3 seeds or more), otherwise "
      "smallest to largest.",
      seeds);
}

std::string figure_note(FigureKind kind, const FigurePlan& plan, const Rows& rows, bool one_model) {
  std::vector<std::string> sentences;
  if (kind != FigureKind::error && one_model && !rows[0]->model.empty())
    sentences.push_back("Model: " + rows[0]->model + ".");
  sentences.push_back(interval_note(kind, plan.panels));
  if (plan.rank_labels == RankLabels::at_points) {
    sentences.push_back("Numbers at the points: rank.");
  } else if (plan.rank_labels == RankLabels::at_line_ends) {
    sentences.push_back("Numbers at the lines: rank.");
  }
  const bool per_mode = std::any_of(rows.begin(), rows.end(), [](const ResultRow* row) {
    return row->rank.find('x') != std::string::npos;
  });
  if (per_mode && plan.x_scale == AxisScale::log2) {
    sentences.push_back("Ranks per mode stand at their geometric mean.");
  }
  if (const auto trained = common_train_rows(rows)) {
    sentences.push_back(fmt::format("Trained on the first {} rows.", *trained));
  }
  std::string note;
  for (const std::string& sentence : sentences) {
    if (!sentence.empty()) note += (note.empty() ? "" : " ") + sentence;
  }
  return note;
}

FigurePlan plan_errors(const Planner& planner, const std::vector<ResultRow>& rows) {
  std::map<std::string, Rows> by_model;
  Rows fits;
  for (const ResultRow& row : rows) {
    if (!row.score || row.metric != "relative_error") continue;
    by_model[row.model].push_back(&row);
    fits.push_back(&row);
  }
  if (fits.empty())
    throw Error(
        "{}: no row has the metric relative_error, as `rankfold sweep --kind fit` writes it",
        rows[0].origin);
  FigurePlan plan;
  plan.x_label = planner.axis == ParameterAxis::adapter ? "trainable parameters"
                                                        : "trainable parameters (adapter and head)";
  plan.x_scale = AxisScale::log10;
  plan.rank_labels = RankLabels::at_points;
  for (const auto& [model, of_model] : by_model) {
    FigurePanel panel{model, "relative error |D \u2212 dW| / |D|", AxisScale::log10, {}, {}};
    planner.add_lines(panel, of_model, false, 1);
    plan.panels.push_back(std::move(panel));
  }
  plan.note = figure_note(FigureKind::error, plan, fits, by_model.size() == 1);
  return plan;
}

}  // namespace

FigurePlan plan_figure(FigureKind kind, const std::vector<ResultRow>& rows, ParameterAxis axis) {
  if (rows.empty()) throw Error("no results to draw: expected at least one row");
  Rows all, scored;
  std::set<std::string> models;
  for (const ResultRow& row : rows) {
    all.push_back(&row);
    if (row.score) scored.push_back(&row);
    models.insert(row.model);
  }
  const Planner planner{kind, axis, LineSplit(kind, rows)};
  const std::string counted = axis == ParameterAxis::adapter
                                  ? "adapter parameters"
                                  : "trainable parameters (adapter and head)";
  const bool one_model = models.size() == 1;
  FigurePlan plan;
  if (kind == FigureKind::error) return plan_errors(planner, rows);
  if (planner.split.lines_differ_in_rank()) plan.rank_labels = RankLabels::at_line_ends;
  if (kind == FigureKind::parameter_efficiency) {
    if (scored.empty()) {
      throw Error(
          "{}: rows without a score give no parameter-efficiency; rank and depth can be "
          "drawn from counts",
          rows[0].origin);
    }
    plan.x_label = counted;
    plan.x_scale = AxisScale::log10;
    plan.rank_labels = RankLabels::at_points;
  } else {
    plan.x_label = kind == FigureKind::rank ? "rank" : "adapted layers";
    plan.x_scale = kind == FigureKind::rank ? AxisScale::log2 : AxisScale::linear;
    for (const std::string& model : models) {
      Rows of_model;
      std::copy_if(all.begin(), all.end(), std::back_inserter(of_model),
                   [&](const ResultRow* row) { return row->model == model; });
      FigurePanel panel{
          one_model ? "parameters" : "parameters, " + model, counted, AxisScale::log10, {}, {}};
      planner.add_lines(panel, of_model, true, 1);
      plan.panels.push_back(std::move(panel));
    }
  }
  for (const auto& [name, of_task] : by_task(scored)) {
    const auto [label, factor] = label_of_metric(of_task[0]->metric);
    FigurePanel panel{
        one_model ? name.first : name.first + ", " + name.second, label, AxisScale::linear, {}, {}};
    const auto trained = common_train_rows(of_task);
    if (trained && !common_train_rows(scored)) {
      panel.title += fmt::format(" (first {} rows)", *trained);
    }
    planner.add_lines(panel, of_task, false, factor);
    plan.panels.push_back(std::move(panel));
  }
  plan.note = figure_note(kind, plan, scored.empty() ? all : scored, one_model);
  return plan;
}

std::string figure_csv(const FigurePlan& plan) {
  std::string csv = "panel,method,rank,layers,parameters,trainable,mean,low,high,runs\n";
  for (const FigurePanel& panel : plan.panels) {
    for (const auto* lines : {&panel.lines, &panel.references}) {
      for (const FigureLine& line : *lines) {
        for (const FigurePoint& point : line.points) {
          csv +=
              fmt::format("{},{},{},{},{},{},{:.10g},{:.10g},{:.10g},{}\n", csv_field(panel.title),
                          csv_field(line.csv_name), csv_field(point.rank), csv_field(point.layers),
                          point.parameters, point.trainable ? std::to_string(*point.trainable) : "",
                          point.value.mean, point.value.low, point.value.high, point.runs);
        }
      }
    }
  }
  return csv;
}

std::string short_count(std::int64_t count) {
  const auto value = static_cast<double>(count);
  if (count < 1000) return std::to_string(count);
  if (value < 999.5e3) return fmt::format("{:.3g}k", value / 1e3);
  if (value < 999.5e6) return fmt::format("{:.3g}M", value / 1e6);
  return fmt::format("{:.3g}G", value / 1e9);
}

}  // namespace rankfold
