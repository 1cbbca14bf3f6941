#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/tables/score_sheets.h"
#include "analysis/tables/sheet_columns.h"
#include "analysis/tables/sheet_numbers.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

std::string told(const std::optional<double>& value, int decimals) {
  return value ? fixed_text(*value, decimals) : not_told;
}

std::string probability(const std::optional<double>& p) {
  if (!p) return not_told;
  return *p < 1e-4 ? "<0.0001" : fmt::format("{:.4f}", *p);
}

/// How comparisons of one table are shown.
struct ComparisonRows {
  const std::vector<LineComparison>& comparisons;
  const ScoreTable& table;
  int decimals;
  bool models, tasks;
  std::vector<double> factors;  ///< one a column of the table

  std::string task(const LineComparison& comparison) const {
    return comparison.column ? table.columns[*comparison.column].task : "";
  }

  SheetRow row(std::size_t at) const {
    const LineComparison& comparison = comparisons[at];
    const PairedTest &t = comparison.t, &wilcoxon = comparison.wilcoxon;
    const double factor = factors[comparison.column.value_or(0)];
    SheetRow row;
    if (models) row.push_back({comparison.first->model});
    if (tasks) row.push_back({comparison.column ? task(comparison) : "all"});
    std::size_t undefined = 0;
    for (const ScoreLine* line : {comparison.first, comparison.second}) {
      const ScoreCell& cell = table.cell(*line, comparison.column);
      row.push_back({line->name()});
      row.back().mark = mark_of_constants(cell);
      undefined += cell.undefined;
    }
    const std::string left_out = undefined > 0 && t.diverged > 0
                                     ? fmt::format("{} left out", t.diverged)
                                     : diverged_text(t.diverged);
    row.push_back({std::to_string(t.count), "", left_out});
    row.push_back(
        {t.mean_difference ? signed_text(*t.mean_difference * factor, decimals) : not_told});
    row.push_back({told(t.statistic, 2)});
    row.push_back({probability(t.p_value)});
    row.push_back({probability(comparison.t_adjusted)});
    row.push_back({probability(wilcoxon.p_value)});
    row.push_back({probability(comparison.wilcoxon_adjusted)});
    return row;
  }

  json record(const LineComparison& comparison) const {
    const PairedTest &t = comparison.t, &wilcoxon = comparison.wilcoxon;
    return {{"model", comparison.first->model},
            {"task", task(comparison)},
            {"first", comparison.first->name()},
            {"second", comparison.second->name()},
            {"pairs", t.count},
            {"diverged", t.diverged},
            {"unpaired", comparison.unpaired},
            {"mean_difference", json_of(t.mean_difference)},
            {"t", json_of(t.statistic)},
            {"t_p", json_of(t.p_value)},
            {"t_p_holm", json_of(comparison.t_adjusted)},
            {"wilcoxon", json_of(wilcoxon.statistic)},
            {"wilcoxon_p", json_of(wilcoxon.p_value)},
            {"wilcoxon_p_holm", json_of(comparison.wilcoxon_adjusted)}};
  }
};

}  // namespace

ScoreSheet comparison_sheet(const std::vector<LineComparison>& comparisons, const ScoreTable& table,
                            int decimals) {
  ComparisonRows rows{comparisons, table, decimals, false, false, {}};
  for (const ScoreColumn& column : table.columns)
    rows.factors.push_back(score_metric(column.metric).factor);
  rows.models = varies(comparisons, [](const auto& one) { return one.first->model; });
  rows.tasks = varies(comparisons, [&](const auto& one) { return rows.task(one); });
  ScoreSheet result;
  Sheet& sheet = result.sheet;
  if (rows.models) sheet.columns.push_back({"model"});
  if (rows.tasks) sheet.columns.push_back({"task"});
  sheet.columns.push_back({"first"});
  sheet.columns.push_back({"second"});
  for (const char* name : {"pairs", "difference", "t", "p", "p (Holm)", "Wilcoxon p", "p (Holm)"})
    sheet.columns.push_back({name, true});
  result.record_count = sheet.row_count = comparisons.size();
  sheet.row = [rows](std::size_t at) { return rows.row(at); };
  result.record = [rows](std::size_t at) { return rows.record(rows.comparisons[at]); };
  const ScoreLine nobody{};
  result.keys = keys_of(rows.record({.column = {},
                                     .first = &nobody,
                                     .second = &nobody,
                                     .t = {},
                                     .wilcoxon = {},
                                     .t_adjusted = {},
                                     .wilcoxon_adjusted = {}}));
  sheet.notes.push_back(
      "difference: first less second, over the seeds that both have (all: of each seed's mean over "
      "tasks)");
  sheet.notes.push_back(
      "p: two-sided, Student's paired t and Wilcoxon's signed ranks; Holm: corrected for all "
      "comparisons of the task that have a p; ? where the runs cannot tell: one pair, or the same "
      "difference in every pair");
  std::size_t other_rows = 0;
  for (const LineComparison& comparison : comparisons) other_rows += comparison.other_rows;
  if (other_rows > 0)
    sheet.notes.push_back(
        fmt::format("left out: {} pairs of runs of one seed that were scored on other rows, or on "
                    "rows asked in other words",
                    other_rows));
  bool all = false, some = false;
  for (const LineComparison& comparison : comparisons)
    for (const ScoreLine* line : {comparison.first, comparison.second}) {
      const ScoreCell& cell = table.cell(*line, comparison.column);
      all = all || cell.all_constant();
      some = some || (cell.constant > 0 && !cell.all_constant());
    }
  note_constants(sheet, all, some, table.columns);
  return result;
}

}  // namespace rankfold
