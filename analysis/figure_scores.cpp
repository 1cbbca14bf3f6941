#include <algorithm>
#include <cctype>

#include <fmt/core.h>

#include "analysis/efficiency.h"
#include "analysis/figure_lines.h"
#include "core/error.h"
#include "core/text.h"

namespace rankfold {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Marks the points of a panel that another of its points dominates.
void mark_dominated(FigurePanel& panel) {
  std::vector<FigurePoint*> points;
  std::vector<SizedScore> scores;
  for (FigureLine& line : panel.lines) {
    for (FigurePoint& point : line.points) {
      if (line.look.published || !point.value.value) continue;
      points.push_back(&point);
      scores.push_back({point.x, *point.value.value, point.value.standard_error});
    }
  }
  if (points.empty()) return;
  for (FigurePoint* point : points) point->dominated = true;
  for (const std::size_t i : pareto_front(scores)) points[i]->dominated = false;
}

bool has_dominated(const FigurePanel& panel) {
  return std::ranges::any_of(panel.lines, [](const FigureLine& line) {
    return std::ranges::any_of(line.points, &FigurePoint::dominated);
  });
}

/// One figure of scores while it is put together.
class ScorePlan {
 public:
  ScorePlan(FigureKind kind, const std::vector<ResultRow>& rows, const FigureOptions& options)
      : options_(options),
        planner_(kind, rows, options.axis),
        published_(kind, options.overlay, options.axis) {
    for (const ResultRow& row : rows) {
      all_.push_back(&row);
      if (row.score) scored_.push_back(&row);
      models_.insert(row.model);
    }
  }

  FigurePlan make() {
    keep_placed();
    refuse_errors();
    if (planner_.split().lines_differ_in_rank()) plan_.rank_labels = RankLabels::at_line_ends;
    if (planner_.kind() == FigureKind::parameter_efficiency) {
      plan_.rank_labels = RankLabels::at_points;
    }
    if (scored_.empty() && !has_parameter_panels()) {
      throw Error("{}: rows without a score: rank and depth can be drawn from counts",
                  all_[0]->origin);
    }
    if (has_parameter_panels()) add_parameter_panels();
    for (const auto& [name, of_task] : by_task(scored_)) add_task(name.first, name.second, of_task);
    if (!options_.overlay.empty() && !overlaid_) throw no_task_to_overlay();
    plan_.note = note();
    return std::move(plan_);
  }

 private:
  bool one_model() const { return models_.size() == 1; }
  bool has_parameter_panels() const {
    const bool counted =
        std::ranges::any_of(all_, [](const auto* row) { return row->parameters > 0; });
    const FigureKind kind = planner_.kind();
    return (kind == FigureKind::rank || kind == FigureKind::depth) &&
           (counted || options_.sources.empty());
  }

  /// Not every published score comes with a number of parameters and a rank.
  bool has_place(const ResultRow& row) const {
    if (planner_.kind() == FigureKind::rank) return rank_position(row.rank).has_value();
    return row.parameters > 0;
  }

  void keep_placed() {
    if (options_.sources.empty()) return;
    for (Rows* rows : {&all_, &scored_}) {
      std::erase_if(*rows, [this](const ResultRow* row) {
        return !planner_.is_reference(*row) && !has_place(*row);
      });
    }
    const auto has_line = [this](const ResultRow* row) { return !planner_.is_reference(*row); };
    if (std::ranges::none_of(scored_, has_line)) {
      throw Error("{} tells no {}", options_.sources,
                  planner_.kind() == FigureKind::rank ? "ranks" : "numbers of parameters");
    }
  }

  /// Of an error less is better: it is no score to dominate with.
  void refuse_errors() const {
    if (planner_.kind() != FigureKind::parameter_efficiency) return;
    for (const ResultRow* row : scored_) {
      if (row->metric == "relative_error")
        throw Error("{}: relative_error is no score: draw kind error", row->origin);
    }
  }

  std::string parameters_label() const {
    return options_.axis == ParameterAxis::adapter ? "adapter parameters"
                                                   : "trainable parameters (adapter and head)";
  }

  FigurePanel panel(const std::string& title, const std::string& y_label, AxisScale y_scale) const {
    FigurePanel panel{title, "", AxisScale::linear, y_label, y_scale, {}, {}};
    switch (planner_.kind()) {
      case FigureKind::rank:
        panel.x_label = "rank";
        panel.x_scale = AxisScale::log2;
        break;
      case FigureKind::depth:
        panel.x_label = "adapted layers";
        break;
      case FigureKind::learning_rate:
        panel.x_label = "learning rate";
        panel.x_scale = AxisScale::log10;
        break;
      default:
        panel.x_label = options_.linear_parameters ? "parameters, M" : parameters_label();
        panel.x_scale = options_.linear_parameters ? AxisScale::linear : AxisScale::log10;
    }
    return panel;
  }

  void add_parameter_panels() {
    const PanelValues parameters{
        [this](const ResultRow& row) { return static_cast<double>(planner_.parameters_of(row)); },
        true};
    for (const std::string& model : models_) {
      Rows of_model;
      std::ranges::copy_if(all_, std::back_inserter(of_model),
                           [&](const ResultRow* row) { return row->model == model; });
      FigurePanel shown = panel(one_model() ? "parameters" : "parameters, " + model,
                                parameters_label(), AxisScale::log10);
      planner_.add_lines(shown, of_model, parameters);
      plan_.panels.push_back(std::move(shown));
    }
  }

  void add_task(const std::string& task, const std::string& model, const Rows& of_task) {
    const auto [label, factor] = label_of_metric(of_task[0]->metric);
    const PanelValues scores{
        [factor = factor](const ResultRow& row) { return *row.score * factor; }};
    FigurePanel shown =
        panel(panel_title(task, model, one_model(), of_task, scored_), label, AxisScale::linear);
    if (factor != 1) shown.possible = {-factor, factor};
    planner_.add_lines(shown, of_task, scores);
    if (planner_.kind() == FigureKind::parameter_efficiency) {
      mark_dominated(shown);
      dominated_ = dominated_ || has_dominated(shown);
    }
    add_overlay(shown, task, of_task[0]->metric, scores);
    if (options_.linear_parameters) {
      for (FigureLine& line : shown.lines) {
        for (FigurePoint& point : line.points) point.x /= 1e6;
      }
    }
    plan_.panels.push_back(std::move(shown));
  }

  /// The published points of the task, before the panel's own lines.
  void add_overlay(FigurePanel& shown, const std::string& task, const std::string& metric,
                   const PanelValues& scores) {
    std::map<std::string, Rows> by_model;
    for (const ResultRow& row : options_.overlay) {
      if (lower_case(row.task) != lower_case(task)) continue;
      if (row.metric != metric) {
        other_metrics_.insert(fmt::format("{} ({})", row.task, row.metric));
        continue;
      }
      if (!published_.is_reference(row) && has_place(row)) by_model[row.model].push_back(&row);
    }
    std::vector<FigureLine> lines;
    for (const auto& [model, rows] : by_model) {
      FigurePanel published = shown;
      published.lines.clear();
      published_.add_lines(published, rows, scores);
      for (FigureLine& line : published.lines) {
        line.look.published = true;
        const std::string origin =
            by_model.size() > 1 ? fmt::format(" (published, {})", model) : " (published)";
        for (std::string* name : {&line.name, &line.csv_name}) *name += origin;
        lines.push_back(std::move(line));
      }
    }
    overlaid_ = overlaid_ || !lines.empty();
    shown.lines.insert(shown.lines.begin(), lines.begin(), lines.end());
  }

  Error no_task_to_overlay() const {
    std::set<std::string> drawn, published;
    for (const ResultRow* row : scored_) drawn.insert(row->task);
    for (const ResultRow& row : options_.overlay) published.insert(row.task);
    const auto listed = [](const std::set<std::string>& names) {
      return join(std::vector<std::string>(names.begin(), names.end()), ", ");
    };
    if (!other_metrics_.empty()) {
      return Error("the published scores have other metrics than the figure: {}",
                   listed(other_metrics_));
    }
    return Error("no task of the figure ({}) is among the published ones ({})", listed(drawn),
                 listed(published));
  }

  std::string note() const {
    std::vector<std::string> sentences;
    if (one_model() && !all_[0]->model.empty()) {
      sentences.push_back("Model: " + all_[0]->model + ".");
    }
    if (options_.sources.empty()) {
      // Panels of parameters have no intervals.
      std::vector<FigurePanel> measured;
      std::ranges::copy_if(
          plan_.panels, std::back_inserter(measured),
          [](const FigurePanel& panel) { return panel.y_scale == AxisScale::linear; });
      sentences.push_back(interval_note(measured));
    } else {
      sentences.push_back("Numbers as published: " + options_.sources + ".");
    }
    if (dominated_)
      sentences.push_back("Pale points are dominated: fewer parameters score as well.");
    const bool ranked =
        std::ranges::any_of(all_, [](const auto* row) { return !row->rank.empty(); });
    if (ranked && plan_.rank_labels == RankLabels::at_points) {
      sentences.push_back("Numbers at the points: rank.");
    } else if (plan_.rank_labels == RankLabels::at_line_ends) {
      sentences.push_back("Numbers at the lines: rank.");
    }
    const bool per_mode = std::ranges::any_of(
        all_, [](const ResultRow* row) { return row->rank.find('x') != std::string::npos; });
    if (per_mode && planner_.kind() == FigureKind::rank) {
      sentences.push_back("Ranks per mode stand at their geometric mean.");
    }
    if (const auto trained = common_train_rows(scored_.empty() ? all_ : scored_)) {
      sentences.push_back(fmt::format("Trained on the first {} rows.", *trained));
    }
    if (overlaid_) sentences.push_back("Grey: published, " + options_.overlay_sources + ".");
    for (const std::string& metric : other_metrics_) {
      sentences.push_back(fmt::format("Published {} has another metric.", metric));
    }
    return join_sentences(sentences);
  }

  const FigureOptions& options_;
  const LinePlanner planner_, published_;
  Rows all_, scored_;
  std::set<std::string> models_;
  FigurePlan plan_;
  bool dominated_ = false, overlaid_ = false;
  std::set<std::string> other_metrics_;
};

}  // namespace

FigurePlan plan_scores(FigureKind kind, const std::vector<ResultRow>& rows,
                       const FigureOptions& options) {
  return ScorePlan(kind, rows, options).make();
}

}  // namespace rankfold
