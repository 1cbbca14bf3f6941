#include <algorithm>
#include <cctype>
#include <cmath>

#include <fmt/core.h>

#include "analysis/figures/figure_lines.h"
#include "analysis/figures/figure_thinning.h"
#include "analysis/statistics/efficiency.h"
#include "core/adapter/rank.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// The best score of `none`, whose adapter has no parameters; `sign` makes more the better.
std::optional<double> untouched_score(const FigurePanel& panel, double sign) {
  std::optional<double> best;
  for (const FigureLine& line : panel.references) {
    const FigurePoint& point = line.points[0];
    const auto& score = point.value.value;
    if (line.look.method == "none" && point.parameters == 0 && score)
      best = std::max(best.value_or(sign * *score), sign * *score);
  }
  return best;
}

/// Marks the points of a panel that another of its points, or the untouched encoder, dominates.
void mark_dominated(FigurePanel& panel, bool less_is_better) {
  const double sign = less_is_better ? -1 : 1;
  std::vector<FigurePoint*> points;
  std::vector<SizedScore> scores;
  for (FigureLine& line : panel.lines) {
    for (FigurePoint& point : line.points) {
      if (line.look.published || !point.value.value) continue;
      point.dominated = true;
      points.push_back(&point);
      scores.push_back({point.x, sign * *point.value.value, point.value.standard_error});
    }
  }
  if (points.empty()) return;
  for (const std::size_t i : pareto_front(scores, untouched_score(panel, sign)))
    points[i]->dominated = false;
}

bool has_dominated(const FigurePanel& panel) {
  return std::ranges::any_of(panel.lines, [](const FigureLine& line) {
    return std::ranges::any_of(line.points, &FigurePoint::dominated);
  });
}

/// The score of the largest class given to every row, as a horizontal line; nothing where no row
/// tells it, rows tell several, or every run scores above it.
std::optional<FigureLine> majority_line(const FigurePanel& panel, const Rows& rows, double factor) {
  std::set<double> told;
  for (const ResultRow* row : rows)
    if (row->majority_score && std::isfinite(*row->majority_score))
      told.insert(*row->majority_score * factor);
  if (told.size() != 1) return std::nullopt;
  const double majority = *told.begin();
  const auto touches = [&](const FigureLine& line) {
    return std::ranges::any_of(line.points, [&](const FigurePoint& point) {
      return point.constant > 0 ||
             std::ranges::any_of(point.runs, [&](double run) { return run <= majority; });
    });
  };
  if (std::ranges::none_of(panel.lines, touches) && std::ranges::none_of(panel.references, touches))
    return std::nullopt;
  FigureLine line;
  line.look.method = line.csv_name = "largest class";
  line.name = "largest class alone";
  line.points = {FigurePoint{}};
  line.points[0].value.value = majority;
  return line;
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
    require_lines();
    if (!options_.overlay.empty() && !overlaid_) throw no_task_to_overlay();
    plan_.spread = spread_of(options_.look, plan_.panels);
    plan_.note = note();
    return std::move(plan_);
  }

 private:
  /// Along layers and rates single points show nothing.
  void require_lines() const {
    const FigureKind kind = planner_.kind();
    if (kind != FigureKind::depth && kind != FigureKind::learning_rate) return;
    for (const FigurePanel& panel : plan_.panels) {
      for (const FigureLine& line : panel.lines) {
        if (line.points.size() > 1) return;
      }
    }
    throw Error("{}: {}", all_[0]->origin,
                kind == FigureKind::depth
                    ? "no method was run at two numbers of adapted layers: nothing to draw against "
                      "depth"
                    : "no method was run at two learning rates: nothing to draw against them");
  }

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
        const bool is_baseline = row->method == "none" || row->method == "full";
        return !(is_baseline && planner_.is_reference(*row)) && !has_place(*row);
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
    FigurePanel panel{title, "", AxisScale::linear, y_label, y_scale};
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
      FigurePanel shown = panel(one_model() ? "parameters" : "parameters, " + shown_model(model),
                                parameters_label(), AxisScale::log10);
      planner_.add_lines(shown, of_model, parameters);
      plan_.panels.push_back(std::move(shown));
    }
  }

  void add_task(const std::string& task, const std::string& model, const Rows& of_task) {
    const ScoreMetric metric = score_metric(of_task[0]->metric);
    const PanelValues scores{
        [factor = metric.factor](const ResultRow& row) { return *row.score * factor; }, false,
        true};
    FigurePanel shown = panel(panel_title(task, model, one_model(), of_task, scored_), metric.label,
                              AxisScale::linear);
    shown.possible = metric.shown_range();
    planner_.add_lines(shown, of_task, scores);
    if (auto majority = majority_line(shown, of_task, metric.factor)) {
      shown.references.push_back(*std::move(majority));
      has_majority_ = true;
    }
    if (planner_.kind() == FigureKind::parameter_efficiency) {
      mark_dominated(shown, metric.less_is_better);
      dominated_ = dominated_ || has_dominated(shown);
    }
    add_overlay(shown, task, *of_task[0], scores);
    if (options_.linear_parameters) {
      for (FigureLine& line : shown.lines) {
        for (FigurePoint& point : line.points) point.x /= 1e6;
      }
    }
    plan_.panels.push_back(std::move(shown));
  }

  /// The published points of the task, before the panel's own lines.
  void add_overlay(FigurePanel& shown, const std::string& task, const ResultRow& own,
                   const PanelValues& scores) {
    std::map<std::string, Rows> by_model;
    for (const ResultRow& row : options_.overlay) {
      if (lower_case(row.task) != lower_case(task)) continue;
      if (row.metric != own.metric) {
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
        const bool is_own = lower_case(model_name(model)) == lower_case(model_name(own.model));
        const std::string named = fmt::format(" (published, {})", model);
        line.name += by_model.size() > 1 || !is_own ? named : " (published)";
        line.csv_name += by_model.size() > 1 ? named : " (published)";
        if (!is_own && !model.empty()) other_models_.insert(model);
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

  /// Panels of parameters have no intervals.
  std::vector<FigurePanel> measured_panels() const {
    std::vector<FigurePanel> measured;
    std::ranges::copy_if(plan_.panels, std::back_inserter(measured), [](const FigurePanel& panel) {
      return panel.y_scale == AxisScale::linear;
    });
    return measured;
  }

  std::string note() const {
    std::vector<std::string> sentences = {model_note(models_)};
    if (options_.sources.empty()) {
      sentences.push_back(interval_note(measured_panels(), plan_.spread));
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
    const bool per_mode = std::ranges::any_of(all_, [](const ResultRow* row) {
      const std::optional<Rank> rank = Rank::parse(row->rank);
      return rank && rank->is_per_mode();
    });
    if (per_mode && planner_.kind() == FigureKind::rank) {
      sentences.push_back("Ranks per mode stand at their geometric mean.");
    }
    if (const auto trained = common_train_rows(scored_.empty() ? all_ : scored_)) {
      sentences.push_back(fmt::format("Trained on the first {} rows.", *trained));
    }
    const auto is_held_out = [](const auto* row) { return scored_rows(*row) != "dev"; };
    if (std::ranges::all_of(scored_, is_held_out) && !scored_.empty())
      sentences.emplace_back("Scored on held-out rows of the training set, not on dev.");
    else if (std::ranges::any_of(scored_, is_held_out))
      sentences.emplace_back("Scored on dev, or on held-out rows where a line says so.");
    if (has_majority_)
      sentences.emplace_back("Largest class alone: its score where every row is given it.");
    if (overlaid_)
      sentences.push_back(
          fmt::format("Grey: published{}, {}.", other_models(), options_.overlay_sources));
    for (const std::string& metric : other_metrics_) {
      sentences.push_back(fmt::format("Published {} has another metric.", metric));
    }
    return join_sentences(sentences);
  }

  std::string other_models() const {
    if (other_models_.empty()) return "";
    return fmt::format(", of another model ({})",
                       join(std::vector(other_models_.begin(), other_models_.end()), ", "));
  }

  const FigureOptions& options_;
  const LinePlanner planner_, published_;
  Rows all_, scored_;
  std::set<std::string> models_;
  FigurePlan plan_;
  bool dominated_ = false, overlaid_ = false, has_majority_ = false;
  std::set<std::string> other_metrics_, other_models_;
};

}  // namespace

FigurePlan plan_scores(FigureKind kind, const std::vector<ResultRow>& rows,
                       const FigureOptions& options) {
  if (!options.sources.empty()) return ScorePlan(kind, rows, options).make();
  const ThinnedRows thinned = thin_rows(kind, rows);
  FigurePlan plan = ScorePlan(kind, thinned.rows, options).make();
  plan.note = join_sentences({plan.note, thinned.note});
  if (!thinned.is_one_rank) return plan;
  for (FigurePanel& panel : plan.panels) {
    for (FigureLine& line : panel.lines) {
      const std::string& rank = line.points[0].rank;
      if (!line.look.published && !rank.empty()) line.name += ", rank " + rank;
    }
  }
  return plan;
}

}  // namespace rankfold
