#include "analysis/score_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "analysis/line_split.h"
#include "analysis/method_style.h"
#include "core/error.h"

namespace rankfold {
namespace {

constexpr double significance = 0.05;

bool is_better(const std::optional<Estimate>& a, const std::optional<Estimate>& b) {
  if (!a || !a->value) return false;
  return !b || !b->value || *a->value > *b->value;
}

std::vector<ScoreColumn> columns_of(const std::vector<ResultRow>& rows) {
  std::map<std::string, const ResultRow*> first;
  for (const ResultRow& row : rows) {
    if (!row.score)
      throw Error("{}: has no score; expected results of trained runs, not counts", row.origin);
    const ResultRow& known = *first.emplace(row.task, &row).first->second;
    if (known.metric != row.metric)
      throw Error("{}: task {} has the metric {}, expected {} as in {}", row.origin, row.task,
                  row.metric, known.metric, known.origin);
  }
  std::vector<ScoreColumn> columns;
  for (const auto& [task, row] : first) columns.push_back({task, row->metric});
  return columns;
}

/// Reads the rows of a table; what is needed besides the lines themselves.
class LineReader {
 public:
  explicit LineReader(const std::vector<ResultRow>& rows)
      : split_(FigureKind::parameter_efficiency, rows) {
    table_.columns = columns_of(rows);
    for (const ResultRow& row : rows) add(row);
  }

  ScoreTable take() {
    for (auto& [key, line] : lines_) table_.lines.push_back(std::move(line.line));
    std::ranges::stable_sort(table_.lines, [](const ScoreLine& a, const ScoreLine& b) {
      return std::tuple(a.model, method_order(a.method), a.setting, a.parameters) <
             std::tuple(b.model, method_order(b.method), b.setting, b.parameters);
    });
    return std::move(table_);
  }

 private:
  struct Read {
    ScoreLine line;
    std::string origin;
    std::map<std::pair<std::string, std::string>, std::string> runs;  ///< task, seed: origin
  };

  void add(const ResultRow& row) {
    const std::string legend = split_.reference_name(row).legend;
    Read& read = lines_[{row.model, legend, row.rank}];
    if (read.origin.empty()) {
      read.origin = row.origin;
      read.line = {.model = row.model,
                   .method = row.method,
                   .rank = row.rank,
                   .setting = legend.size() > row.method.size()
                                  ? legend.substr(row.method.size() + 2)
                                  : std::string(),
                   .parameters = row.parameters,
                   .cells = std::vector<ScoreCell>(table_.columns.size()),
                   .mean = {},
                   .interquartile_mean = {}};
    }
    if (read.line.parameters != row.parameters)
      throw Error("{}: {} parameters, where {} has {} and differs in nothing else", row.origin,
                  row.parameters, read.origin, read.line.parameters);
    const auto [run, is_new] = read.runs.emplace(std::pair(row.task, row.seed), row.origin);
    if (!is_new)
      throw Error("{}: is the same run as {} (task {}, {}, seed {}), expected each once",
                  row.origin, run->second, row.task, read.line.name(), row.seed);
    const auto column = std::ranges::find(table_.columns, row.task, &ScoreColumn::task);
    read.line.cells[static_cast<std::size_t>(column - table_.columns.begin())].scores.push_back(
        {row.task, row.seed, *row.score});
  }

  LineSplit split_;
  ScoreTable table_;
  std::map<std::tuple<std::string, std::string, std::string>, Read> lines_;
};

std::vector<double> values_of(const ScoreCell& cell) {
  std::vector<double> values;
  for (const KeyedScore& score : cell.scores) values.push_back(score.score);
  return values;
}

void estimate(ScoreLine& line) {
  std::vector<std::vector<double>> strata;
  for (ScoreCell& cell : line.cells) {
    if (cell.scores.empty()) continue;
    strata.push_back(values_of(cell));
    cell.estimate = estimate_mean(strata.back());
  }
  if (strata.size() < 2 || strata.size() < line.cells.size()) return;
  const BootstrapMeans means = bootstrap_means(strata);
  line.mean = means.mean;
  line.interquartile_mean = means.interquartile_mean;
}

/// Of one task, or with no cell given of all.
std::vector<KeyedScore> scores_of(const ScoreLine& line, std::optional<std::size_t> column) {
  if (column) return line.cells[*column].scores;
  std::vector<KeyedScore> all;
  for (const ScoreCell& cell : line.cells)
    all.insert(all.end(), cell.scores.begin(), cell.scores.end());
  return all;
}

std::optional<Estimate> estimate_of(const ScoreLine& line, std::optional<std::size_t> column) {
  return column ? line.cells[*column].estimate : line.mean;
}

/// Whether the tests tell `best` from every one of `others`.
bool stands_out(const ScoreLine& best, const std::vector<const ScoreLine*>& others,
                std::optional<std::size_t> column) {
  std::vector<double> p_values;
  for (const ScoreLine* other : others) {
    const PairedScores pairs = pair_scores(scores_of(best, column), scores_of(*other, column));
    if (pairs.pairs.empty()) return false;
    const PairedTest test = paired_t_test(pairs.pairs);
    if (!test.p_value || !test.mean_difference || *test.mean_difference <= 0) return false;
    p_values.push_back(*test.p_value);
  }
  return !p_values.empty() &&
         std::ranges::all_of(holm_correction(p_values), [](double p) { return p < significance; });
}

/// The line of `lines` that is best in the column, or none.
ScoreLine* find_best(std::span<ScoreLine> lines, std::optional<std::size_t> column) {
  ScoreLine* best = nullptr;
  std::vector<const ScoreLine*> others;
  for (ScoreLine& line : lines) {
    const auto estimate = estimate_of(line, column);
    if (line.is_reference() || !estimate || !estimate->value) continue;
    if (!best || is_better(estimate, estimate_of(*best, column))) {
      if (best) others.push_back(best);
      best = &line;
    } else {
      others.push_back(&line);
    }
  }
  const bool stands =
      best && estimate_of(*best, column)->diverged == 0 && stands_out(*best, others, column);
  return stands ? best : nullptr;
}

void mark_best(ScoreTable& table) {
  for (auto begin = table.lines.begin(); begin != table.lines.end();) {
    const auto end = std::find_if(begin, table.lines.end(), [&](const ScoreLine& line) {
      return line.model != begin->model;
    });
    const std::span<ScoreLine> lines(begin, end);
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      if (ScoreLine* best = find_best(lines, column)) best->cells[column].best = true;
    if (ScoreLine* best = find_best(lines, {})) best->best_mean = true;
    begin = end;
  }
}

/// Points of one size are one, over the runs of all.
std::vector<SizedScore> pool(const std::map<double, std::vector<double>>& scores) {
  std::vector<SizedScore> points;
  for (const auto& [size, values] : scores) {
    const Estimate estimate = estimate_mean(values);
    if (estimate.value) points.push_back({size, *estimate.value, estimate.standard_error});
  }
  return points;
}

std::optional<double> full_score(const ScoreTable& table, const std::string& model,
                                 std::size_t column) {
  std::optional<double> best;
  for (const ScoreLine& line : table.lines) {
    const auto& estimate = line.cells[column].estimate;
    if (line.model != model || line.method != "full" || !estimate || !estimate->value) continue;
    best = std::max(best.value_or(*estimate->value), *estimate->value);
  }
  return best && *best > 0 ? best : std::nullopt;
}

/// A method's scores on one task by size, the references and lines without parameters left out.
struct CurveScores {
  const ScoreLine* first = nullptr;  ///< of its lines
  std::map<double, std::vector<double>> by_parameters, by_rank;
  std::size_t diverged = 0;
};

std::vector<CurveScores> curve_scores(const ScoreTable& table, const std::string& model,
                                      std::size_t column) {
  std::vector<CurveScores> curves;
  for (const ScoreLine& line : table.lines) {
    const ScoreCell& cell = line.cells[column];
    if (line.model != model || line.is_reference() || line.parameters == 0 || !cell.estimate)
      continue;
    auto curve = std::ranges::find_if(curves, [&](const CurveScores& other) {
      return other.first->method == line.method && other.first->setting == line.setting;
    });
    if (curve == curves.end()) curve = curves.insert(curve, {&line, {}, {}, 0});
    curve->diverged += cell.estimate->diverged;
    for (const double value : values_of(cell)) {
      curve->by_parameters[static_cast<double>(line.parameters)].push_back(value);
      if (const auto rank = rank_position(line.rank)) curve->by_rank[*rank].push_back(value);
    }
  }
  return curves;
}

/// Counts for every curve the points that no point of any curve dominates.
void count_front(std::vector<MethodCurve>& curves,
                 const std::vector<std::vector<SizedScore>>& points) {
  std::vector<SizedScore> all;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < curves.size(); ++i) {
    all.insert(all.end(), points[i].begin(), points[i].end());
    owners.resize(all.size(), i);
  }
  if (all.empty()) return;
  for (const std::size_t position : pareto_front(all)) ++curves[owners[position]].on_front;
}

std::vector<LineComparison> compare_on(const ScoreTable& table, std::optional<std::size_t> column,
                                       const std::string& against) {
  std::vector<LineComparison> comparisons;
  for (std::size_t i = 0; i < table.lines.size(); ++i)
    for (std::size_t j = i + 1; j < table.lines.size(); ++j) {
      const ScoreLine *first = &table.lines[i], *second = &table.lines[j];
      if (first->model != second->model) continue;
      if (!against.empty() && first->method != against && second->method != against) continue;
      if (!against.empty() && first->method == against) std::swap(first, second);
      const PairedScores pairs = pair_scores(scores_of(*first, column), scores_of(*second, column));
      if (pairs.pairs.empty()) continue;
      comparisons.push_back({first->model, column ? table.columns[*column].task : "", first, second,
                             pairs.unpaired, paired_t_test(pairs.pairs),
                             wilcoxon_signed_rank(pairs.pairs), std::nullopt, std::nullopt});
    }
  return comparisons;
}

void adjust(std::vector<LineComparison>& comparisons, PairedTest LineComparison::*test,
            std::optional<double> LineComparison::*adjusted) {
  std::vector<double> p_values;
  std::vector<LineComparison*> tested;
  for (LineComparison& comparison : comparisons)
    if (const auto& p = (comparison.*test).p_value) {
      p_values.push_back(*p);
      tested.push_back(&comparison);
    }
  if (tested.empty()) return;
  const std::vector<double> corrected = holm_correction(p_values);
  for (std::size_t i = 0; i < tested.size(); ++i) tested[i]->*adjusted = corrected[i];
}

}  // namespace

std::string ScoreLine::name() const {
  std::string name = rank.empty() ? method : method + " " + rank;
  return setting.empty() ? name : name + ", " + setting;
}

ScoreTable make_score_table(const std::vector<ResultRow>& rows) {
  if (rows.empty()) throw Error("there are no results to make a table of");
  ScoreTable table = LineReader(rows).take();
  for (ScoreLine& line : table.lines) estimate(line);
  mark_best(table);
  return table;
}

std::vector<MethodCurve> measure_curves(const ScoreTable& table, std::optional<double> budget,
                                        double share) {
  std::set<std::string> models;
  for (const ScoreLine& line : table.lines) models.insert(line.model);
  std::vector<MethodCurve> all;
  for (std::size_t column = 0; column < table.columns.size(); ++column) {
    for (const std::string& model : models) {
      const std::optional<double> full = full_score(table, model, column);
      std::vector<MethodCurve> curves;
      std::vector<std::vector<SizedScore>> points;
      for (const CurveScores& scores : curve_scores(table, model, column)) {
        const std::vector<SizedScore> sizes = pool(scores.by_parameters);
        const std::vector<SizedScore> ranks = pool(scores.by_rank);
        if (sizes.empty()) continue;
        MethodCurve curve;
        curve.model = model;
        curve.task = table.columns[column].task;
        curve.metric = table.columns[column].metric;
        curve.method = scores.first->method;
        curve.setting = scores.first->setting;
        curve.smallest = sizes.front().size;
        curve.largest = sizes.back().size;
        curve.points = sizes.size();
        curve.diverged = scores.diverged;
        curve.area = area_under_curve(sizes);
        if (budget) curve.at_budget = score_at_budget(sizes, *budget);
        if (full) curve.parameters_to_reach = size_to_reach(sizes, *full, share);
        if (full && !ranks.empty()) curve.rank_to_reach = size_to_reach(ranks, *full, share);
        curves.push_back(std::move(curve));
        points.push_back(sizes);
      }
      count_front(curves, points);
      all.insert(all.end(), curves.begin(), curves.end());
    }
  }
  return all;
}

std::vector<LineComparison> compare_lines(const ScoreTable& table, const std::string& against) {
  if (!against.empty()) {
    std::vector<std::string> methods;
    for (const ScoreLine& line : table.lines) methods.push_back(line.method);
    if (std::ranges::find(methods, against) == methods.end())
      throw unknown_name("method of these results", against, methods);
  }
  std::vector<LineComparison> all;
  std::vector<std::optional<std::size_t>> columns;
  for (std::size_t i = 0; i < table.columns.size(); ++i) columns.emplace_back(i);
  if (columns.size() > 1) columns.emplace_back();
  for (const auto& column : columns) {
    std::vector<LineComparison> comparisons = compare_on(table, column, against);
    adjust(comparisons, &LineComparison::t, &LineComparison::t_adjusted);
    adjust(comparisons, &LineComparison::wilcoxon, &LineComparison::wilcoxon_adjusted);
    all.insert(all.end(), comparisons.begin(), comparisons.end());
  }
  return all;
}

}  // namespace rankfold
