#include "analysis/tables/score_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "analysis/figures/line_split.h"
#include "analysis/figures/method_style.h"
#include "analysis/statistics/statistics.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/score_metric.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

constexpr double significance = 0.05;

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
  for (const auto& [task, row] : first) columns.push_back({task, row->metric, {}});
  return columns;
}

/// Tables hold the fingerprint of the scored rows behind that of the trained ones.
std::string scored_rows_of(const ResultRow& row) {
  if (!row.scored_rows.empty()) return row.scored_rows;
  const std::string data = row_setting(row, data_fingerprint_key).value_or("");
  const std::size_t slash = data.rfind('/');
  return slash == std::string::npos ? "" : data.substr(slash + 1);
}

/// Reads the rows of a table; what is needed besides the lines themselves.
class LineReader {
 public:
  explicit LineReader(const std::vector<ResultRow>& rows)
      : split_(FigureKind::parameter_efficiency, rows) {
    table_.columns = columns_of(rows);
    for (const ScoreColumn& column : table_.columns) {
      metrics_.push_back(score_metric(column.metric));
      positions_[column.task] = positions_.size();
    }
    decide_means();
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

  void decide_means() {
    const std::size_t tasks = table_.columns.size();
    const bool one_metric = std::ranges::all_of(table_.columns, [&](const ScoreColumn& column) {
      return column.metric == table_.columns[0].metric;
    });
    const bool fractions = std::ranges::all_of(
        metrics_, [](const ScoreMetric& metric) { return metric.factor == 100; });
    table_.has_mean = tasks > 1 && (one_metric || fractions);
    table_.has_interquartile_mean = tasks >= fewest_interquartile_tasks && one_metric;
  }

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
    const std::size_t column = positions_.at(row.task);
    if (row.majority_score) {
      std::set<double>& told = majorities_[column];
      told.insert(*row.majority_score);
      table_.columns[column].majority =
          told.size() == 1 ? row.majority_score : std::optional<double>();
    }
    ScoreCell& cell = read.line.cells[column];
    cell.scores.push_back(
        {row.seed, *row.score, scored_rows_of(row), row_setting(row, "score-on").value_or("")});
    ++cell.runs;
    cell.constant += row.constant_predictions ? 1 : 0;
  }

  LineSplit split_;
  ScoreTable table_;
  std::vector<ScoreMetric> metrics_;  ///< one a column
  std::map<std::string, std::size_t> positions_;
  std::map<std::size_t, std::set<double>> majorities_;  ///< that rows of a column tell
  std::map<std::tuple<std::string, std::string, std::string>, Read> lines_;
};

/// Of all tasks together; "" where one is not known.
std::string joined_if_known(const std::vector<std::string>& texts) {
  return std::ranges::find(texts, "") == texts.end() ? join(texts, "/") : "";
}

/// The means over tasks of the seeds that every cell has.
std::vector<SeedScore> seed_means(const std::vector<ScoreCell>& cells) {
  struct Seed {
    std::vector<double> scores;
    std::vector<std::string> rows, splits;
  };
  std::map<std::string, Seed> by_seed;
  for (const ScoreCell& cell : cells)
    for (const SeedScore& score : cell.scores) {
      Seed& seed = by_seed[score.seed];
      seed.scores.push_back(score.score);
      seed.rows.push_back(score.rows);
      seed.splits.push_back(score.split);
    }
  std::vector<SeedScore> means;
  for (const auto& [seed, of_tasks] : by_seed) {
    const std::vector<double>& scores = of_tasks.scores;
    if (scores.size() < cells.size()) continue;
    const bool finite = std::ranges::all_of(scores, [](double x) { return std::isfinite(x); });
    means.push_back({seed, finite ? mean(scores) : std::nan(""), joined_if_known(of_tasks.rows),
                     joined_if_known(of_tasks.splits)});
  }
  return means;
}

Bounds mean_range(const std::vector<ScoreMetric>& metrics) {
  std::vector<double> low, high;
  for (const ScoreMetric& metric : metrics) {
    low.push_back(metric.range.low);
    high.push_back(metric.range.high);
  }
  return {mean(low), mean(high)};
}

void estimate_mean_cell(ScoreLine& line, const ScoreTable& table,
                        const std::vector<ScoreMetric>& metrics) {
  std::vector<std::vector<SeedScore>> tasks;
  for (const ScoreCell& cell : line.cells) {
    if (cell.scores.empty()) return;
    tasks.push_back(cell.scores);
    line.mean.runs += cell.runs;
    line.mean.constant += cell.constant;
    line.mean.undefined += cell.undefined;
  }
  const auto over_tasks = [&](auto estimate, const Bounds& possible) {
    Estimate found = estimate(tasks, possible, 0.95);
    found.diverged -= line.mean.undefined;
    return found;
  };
  line.mean.estimate = over_tasks(estimate_over_tasks, mean_range(metrics));
  line.mean.scores = seed_means(line.cells);
  if (table.has_interquartile_mean)
    line.interquartile_mean = over_tasks(estimate_interquartile_mean, metrics[0].range);
}

void estimate(ScoreLine& line, const ScoreTable& table, const std::vector<ScoreMetric>& metrics) {
  for (std::size_t column = 0; column < line.cells.size(); ++column) {
    ScoreCell& cell = line.cells[column];
    if (cell.scores.empty()) continue;
    std::ranges::sort(cell.scores, {}, &SeedScore::seed);
    if (cell.all_constant() && metrics[column].needs_spread) {
      cell.undefined = cell.runs;
      for (SeedScore& score : cell.scores) score.score = std::nan("");
    }
    std::vector<double> values;
    for (const SeedScore& score : cell.scores) values.push_back(score.score);
    cell.estimate = estimate_mean(values, metrics[column].range);
    cell.estimate->diverged -= cell.undefined;
  }
  if (table.has_mean) estimate_mean_cell(line, table, metrics);
}

/// Whether the tests tell `best` from every one of `others`; `sign` is -1 where less is better.
bool stands_out(const ScoreCell& best, const std::vector<const ScoreCell*>& others, double sign) {
  std::vector<double> p_values;
  for (const ScoreCell* other : others) {
    const PairedScores pairs = pair_scores(best.scores, other->scores);
    if (pairs.pairs.empty()) return false;
    const PairedTest test = paired_t_test(pairs.pairs);
    if (!test.p_value || sign * *test.mean_difference <= 0) return false;
    p_values.push_back(*test.p_value);
  }
  return !p_values.empty() &&
         std::ranges::all_of(holm_correction(p_values), [](double p) { return p < significance; });
}

/// Marks the cell of `lines` that is best in the column, if there is one.
void mark_best(std::span<ScoreLine> lines, std::optional<std::size_t> column, double sign) {
  ScoreCell* best = nullptr;
  std::vector<const ScoreCell*> others;
  for (ScoreLine& line : lines) {
    ScoreCell& cell = column ? line.cells[*column] : line.mean;
    if (line.is_reference() || !cell.estimate || !cell.estimate->value) continue;
    const bool is_better = !best || sign * *cell.estimate->value > sign * *best->estimate->value;
    if (best) others.push_back(is_better ? best : &cell);
    if (is_better) best = &cell;
  }
  if (!best || best->all_constant() || best->estimate->diverged + best->undefined > 0) return;
  best->best = stands_out(*best, others, sign);
}

void mark_best(ScoreTable& table) {
  std::vector<double> signs;
  for (const ScoreColumn& column : table.columns)
    signs.push_back(score_metric(column.metric).less_is_better ? -1 : 1);
  for (auto begin = table.lines.begin(); begin != table.lines.end();) {
    const auto end = std::find_if(begin, table.lines.end(), [&](const ScoreLine& line) {
      return line.model != begin->model;
    });
    const std::span<ScoreLine> lines(begin, end);
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      mark_best(lines, column, signs[column]);
    if (table.has_mean) mark_best(lines, {}, signs[0]);
    begin = end;
  }
}

std::vector<LineComparison> compare_on(const ScoreTable& table, std::optional<std::size_t> column,
                                       const std::string& against) {
  std::vector<LineComparison> comparisons;
  for (auto i = table.lines.begin(); i != table.lines.end(); ++i) {
    // Lines are sorted by model.
    for (auto j = i + 1; j != table.lines.end() && j->model == i->model; ++j) {
      if (!against.empty() && i->method != against && j->method != against) continue;
      const bool swap = i->method == against;
      const ScoreLine *first = swap ? &*j : &*i, *second = swap ? &*i : &*j;
      const PairedScores pairs =
          pair_scores(table.cell(*first, column).scores, table.cell(*second, column).scores);
      if (pairs.pairs.empty() && pairs.other_rows == 0) continue;
      LineComparison comparison{.column = column,
                                .first = first,
                                .second = second,
                                .unpaired = pairs.unpaired,
                                .other_rows = pairs.other_rows,
                                .t = {},
                                .wilcoxon = {},
                                .t_adjusted = {},
                                .wilcoxon_adjusted = {}};
      if (!pairs.pairs.empty()) {
        comparison.t = paired_t_test(pairs.pairs);
        comparison.wilcoxon = wilcoxon_signed_rank(pairs.pairs);
      }
      comparisons.push_back(std::move(comparison));
    }
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
  std::vector<ScoreMetric> metrics;
  for (const ScoreColumn& column : table.columns) metrics.push_back(score_metric(column.metric));
  for (ScoreLine& line : table.lines) estimate(line, table, metrics);
  mark_best(table);
  return table;
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
  if (table.has_mean) columns.emplace_back();
  for (const auto& column : columns) {
    std::vector<LineComparison> comparisons = compare_on(table, column, against);
    adjust(comparisons, &LineComparison::t, &LineComparison::t_adjusted);
    adjust(comparisons, &LineComparison::wilcoxon, &LineComparison::wilcoxon_adjusted);
    all.insert(all.end(), comparisons.begin(), comparisons.end());
  }
  return all;
}

}  // namespace rankfold
