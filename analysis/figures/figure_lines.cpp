#include "analysis/figures/figure_lines.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

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

double learning_rate_of(const ResultRow& row) {
  const auto found = row.settings.find("lr");
  const std::string text = found == row.settings.end() ? "" : found->second;
  const auto rate = parse_number<double>(text);
  if (!rate || !(*rate > 0) || !std::isfinite(*rate)) {
    throw Error("{}: the learning rate of method {} is '{}': expected a positive number (lr)",
                row.origin, row.method, printable(text, 40));
  }
  return *rate;
}

/// Runs that are the same but for their metric.
std::vector<std::string> identity(const ResultRow& row) {
  std::vector<std::string> key = {row.method,
                                  row.rank,
                                  row.seed,
                                  row.layers,
                                  std::to_string(row.parameters),
                                  row.train_rows ? std::to_string(*row.train_rows) : ""};
  for (const auto& [name, value] : row.settings) key.insert(key.end(), {name, value});
  return key;
}

}  // namespace

bool LinePlanner::is_reference(const ResultRow& row) const {
  if (kind_ == FigureKind::convergence || kind_ == FigureKind::forwards) return false;
  if (kind_ == FigureKind::learning_rate)
    return (row.method == "none" || row.method == "full") && !row.settings.contains("lr");
  if (row.method == "none" || (kind_ == FigureKind::rank && row.rank.empty())) return true;
  return row.method == "full" && (kind_ != FigureKind::depth || !split_.has_depths("full"));
}

std::int64_t LinePlanner::parameters_of(const ResultRow& row) const {
  if (axis_ == ParameterAxis::adapter) return row.parameters;
  if (!row.trainable) {
    throw Error(
        "{}: the number of trainable parameters is missing (column trainable): it is needed "
        "for the axis that counts them",
        row.origin);
  }
  return *row.trainable;
}

double LinePlanner::x_of(const ResultRow& row) const {
  if (kind_ == FigureKind::rank) return rank_of(row);
  if (kind_ == FigureKind::depth) return depth_of(row);
  if (kind_ == FigureKind::learning_rate) return learning_rate_of(row);
  const auto parameters = parameters_of(row);
  if (parameters == 0) {
    throw Error("{}: method {} has 0 parameters, which have no place on a logarithmic axis",
                row.origin, row.method);
  }
  return static_cast<double>(parameters);
}

FigurePoint LinePlanner::point(const Rows& runs, const PanelValues& values,
                               const Bounds& possible) const {
  const ResultRow& first = *runs.front();
  FigurePoint point;
  point.rank = first.rank;
  point.layers = first.layers;
  point.parameters = first.parameters;
  point.trainable = first.trainable;
  std::vector<double> found;
  for (const ResultRow* run : runs) {
    found.push_back(values.value(*run));
    const bool counts = values.is_score && std::isfinite(found.back());
    point.constant += counts && run->constant_predictions ? 1 : 0;
  }
  point.value = estimate_mean(found, possible);
  if (values.exact) {
    point.value.standard_error.reset();
    point.value.interval.reset();
    return point;
  }
  std::ranges::copy_if(found, std::back_inserter(point.runs),
                       [](double value) { return std::isfinite(value); });
  return point;
}

std::string LinePlanner::reference_name(const std::string& name, const FigurePoint& point) const {
  if (kind_ == FigureKind::cost) return name;
  if (point.parameters == 0) return kind_ == FigureKind::error ? name : name + " (head only)";
  const bool trainable = axis_ == ParameterAxis::trainable && point.trainable;
  return name + ", " + short_count(trainable ? *point.trainable : point.parameters);
}

void LinePlanner::add_lines(FigurePanel& panel, const Rows& rows, const PanelValues& values) const {
  using Key = std::tuple<double, std::string, std::string, std::int64_t>;
  std::map<LineName, std::map<Key, Rows>> lines, references;
  for (const ResultRow* row : rows) {
    if (is_reference(*row)) {
      const auto name = split_.reference_name(*row);
      references[name][{0.0, row->rank, row->layers, row->parameters}].push_back(row);
      continue;
    }
    const double x = x_of(*row);
    for (const LineName& name : split_.lines_of(*row)) {
      lines[name][{x, row->rank, row->layers, row->parameters}].push_back(row);
    }
  }
  const bool logarithmic = panel.y_scale == AxisScale::log10;
  for (const auto& [name, points] : lines) {
    FigureLine line = line_named(name);
    for (const auto& [key, runs] : points) {
      line.points.push_back(point(runs, values, panel.possible));
      line.points.back().x = std::get<0>(key);
      const auto mean = line.points.back().value.value;
      if (logarithmic && mean && *mean <= 0) {
        throw Error("{}: method {} has {}, which has no place on a logarithmic axis",
                    runs.front()->origin, name.method,
                    values.exact ? "a number of parameters of 0" : "an error of 0");
      }
    }
    panel.lines.push_back(std::move(line));
  }
  for (const auto& [name, points] : references) {
    for (const auto& [key, runs] : points) {
      const FigurePoint value = point(runs, values, panel.possible);
      if (logarithmic && value.value.value && *value.value.value <= 0) continue;
      FigureLine line = line_named(name);
      line.name = reference_name(name.legend, value);
      line.points = {value};
      panel.references.push_back(std::move(line));
    }
  }
  std::stable_sort(panel.lines.begin(), panel.lines.end(), [](const auto& a, const auto& b) {
    return method_order(a.look.method) < method_order(b.look.method);
  });
}

FigureLine line_named(const LineName& name) {
  FigureLine line;
  line.look.method = name.method;
  line.look.variant = name.variant;
  line.name = name.legend;
  line.csv_name = name.csv_name;
  return line;
}

std::pair<std::string, double> label_of_metric(const std::string& metric) {
  const ScoreMetric known = score_metric(metric);
  return {known.label, known.factor};
}

std::string scored_rows(const ResultRow& row) {
  const auto found = row.settings.find("score-on");
  return found == row.settings.end() || found->second.empty() ? "dev" : found->second;
}

std::string shown_model(const std::string& model) {
  const bool is_path = model.starts_with('/') || model.starts_with('.') || model.starts_with('~');
  return is_path ? model_name(model) : model;
}

std::optional<std::int64_t> common_train_rows(const Rows& rows) {
  const auto same = [&](const ResultRow* row) { return row->train_rows == rows[0]->train_rows; };
  return std::all_of(rows.begin(), rows.end(), same) ? rows[0]->train_rows : std::nullopt;
}

std::map<std::pair<std::string, std::string>, Rows> by_task(const Rows& rows) {
  std::map<std::string, std::vector<std::string>> metrics;
  for (const ResultRow* row : rows) metrics[row->task].push_back(row->metric);
  for (auto& [task, measured] : metrics) measured = {main_metric(task, measured)};
  std::map<std::pair<std::string, std::string>, Rows> tasks, others;
  for (const ResultRow* row : rows) {
    const bool is_main = row->metric == metrics[row->task].front();
    (is_main ? tasks : others)[{row->task, row->model}].push_back(row);
  }
  for (const auto& [name, left_out] : others) {
    std::set<std::vector<std::string>> scored;
    for (const ResultRow* row : tasks[name]) scored.insert(identity(*row));
    for (const ResultRow* row : left_out) {
      if (scored.contains(identity(*row))) continue;
      throw Error(
          "{}: {} on task {} was scored by {} and not by {} as other runs: metrics are not mixed "
          "in "
          "one panel",
          row->origin, row->method, row->task, row->metric, metrics[row->task].front());
    }
  }
  return tasks;
}

std::string panel_title(const std::string& task, const std::string& model, bool one_model,
                        const Rows& of_task, const Rows& all) {
  std::string title = one_model ? task : task + ", " + shown_model(model);
  const auto trained = common_train_rows(of_task);
  if (trained && !common_train_rows(all)) title += fmt::format(" (first {} rows)", *trained);
  return title;
}

std::string model_note(const std::set<std::string>& models) {
  const bool is_told = models.size() == 1 && !models.begin()->empty();
  return is_told ? "Model: " + shown_model(*models.begin()) + "." : "";
}

namespace {

constexpr std::ptrdiff_t most_bands = 5;

bool hides_lines(const FigurePanel& panel) {
  return std::ranges::count_if(panel.lines, [](const FigureLine& line) {
           return std::ranges::count_if(line.points, [](const FigurePoint& point) {
                    return point.value.interval.has_value();
                  }) > 1;
         }) > most_bands;
}

/// Whether half of the intervals are longer than half of what the means differ by.
bool has_long_intervals(const FigurePanel& panel) {
  std::vector<double> means, lengths;
  for (const FigureLine& line : panel.lines) {
    for (const FigurePoint& point : line.points) {
      if (!point.value.interval) continue;
      means.push_back(*point.value.value);
      lengths.push_back(point.value.interval->high - point.value.interval->low);
    }
  }
  if (lengths.empty()) return false;
  const auto middle = lengths.begin() + static_cast<std::ptrdiff_t>(lengths.size() / 2);
  std::nth_element(lengths.begin(), middle, lengths.end());
  const auto [least, most] = std::ranges::minmax(means);
  return *middle > 0.5 * (most - least);
}

}  // namespace

Spread spread_of(const FigureLook& look, const std::vector<FigurePanel>& panels) {
  if (look.spread) return *look.spread;
  if (look.methods_apart || std::ranges::none_of(panels, hides_lines)) return Spread::band;
  return std::ranges::any_of(panels, has_long_intervals) ? Spread::dots : Spread::bars;
}

std::string interval_note(const std::vector<FigurePanel>& panels, Spread spread, const char* runs) {
  std::size_t fewest = SIZE_MAX, most = 0, all = 0, diverged = 0, constant = 0;
  bool has_band = false;  // of a horizontal reference
  for (const FigurePanel& panel : panels) {
    // Lines of one method may share a point: first:N and last:N meet where N is all layers.
    std::set<std::tuple<std::string, std::string, std::string, std::int64_t, double>> seen;
    for (const auto* lines : {&panel.lines, &panel.references}) {
      for (const FigureLine& line : *lines) {
        if (line.look.published) continue;
        for (const FigurePoint& point : line.points) {
          if (point.value.count + point.value.diverged == 0) continue;  // no runs stand behind it
          if (!seen.emplace(line.csv_name, point.rank, point.layers, point.parameters, point.x)
                   .second)
            continue;
          all += point.value.count + point.value.diverged;
          diverged += point.value.diverged;
          constant += point.constant;
          has_band = has_band || (lines == &panel.references && point.value.interval.has_value());
          if (point.value.count == 0) continue;
          fewest = std::min(fewest, point.value.count);
          most = std::max(most, point.value.count);
        }
      }
    }
  }
  std::vector<std::string> sentences;
  if (most == 1) sentences.emplace_back("One run for each point: intervals unknown.");
  if (most > 1) {
    const std::string number =
        fewest == most ? std::to_string(most) : fmt::format("{} to {}", fewest, most);
    const std::string mean = fmt::format("Mean of {} {}", number, runs);
    if (spread == Spread::dots)
      sentences.push_back(mean + ", small dots: each of them" +
                          (has_band ? "; grey bands: 95% intervals (Student's t)." : "."));
    else
      sentences.push_back(fmt::format("{}, {}: 95% interval (Student's t){}", mean,
                                      spread == Spread::band ? "band" : "bar",
                                      fewest > 1 ? "." : ", unknown for one run."));
  }
  if (diverged > 0)
    sentences.push_back(
        fmt::format("\u00d7: of {} runs {} diverged; they are in no mean.", all, diverged));
  if (constant > 0)
    sentences.push_back(
        fmt::format("Hollow and crossed: of {} runs {} gave every row one answer.", all, constant));
  return join_sentences(sentences);
}

std::string join_sentences(const std::vector<std::string>& sentences) {
  std::string note;
  for (const std::string& sentence : sentences) {
    if (!sentence.empty()) note += (note.empty() ? "" : " ") + sentence;
  }
  return note;
}

}  // namespace rankfold
