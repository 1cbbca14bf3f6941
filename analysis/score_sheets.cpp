#include "analysis/score_sheets.h"

#include <cmath>
#include <set>

#include <fmt/core.h>

#include "analysis/csv.h"
#include "analysis/figure_lines.h"
#include "analysis/figure_plan.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

constexpr const char* unknown = "-";

json json_of(const std::optional<double>& value) {
  return value && std::isfinite(*value) ? json(*value) : json();
}

std::string number(const std::optional<double>& value, int decimals, double factor = 1) {
  return value ? fmt::format("{:.{}f}", *value * factor, decimals) : unknown;
}

std::string probability(const std::optional<double>& p) {
  if (!p) return unknown;
  return *p < 1e-4 ? "<0.0001" : fmt::format("{:.4f}", *p);
}

std::string runs(std::size_t count) {
  return count == 1 ? "1 diverged" : fmt::format("{} diverged", count);
}

SheetCell cell_of(const std::optional<Estimate>& estimate, bool best, int decimals, double factor) {
  if (!estimate) return {unknown};
  const std::string remark = estimate->diverged > 0 ? runs(estimate->diverged) : "";
  if (!estimate->value) return {remark.empty() ? unknown : remark};
  const auto& interval = estimate->interval;
  const std::string spread =
      interval ? fmt::format("{:.{}f}", (interval->high - interval->low) / 2 * factor, decimals)
               : "?";
  return {number(estimate->value, decimals, factor), spread, remark, best};
}

void add_estimate(json& row, const Estimate& estimate) {
  row["mean"] = json_of(estimate.value);
  row["standard_error"] = json_of(estimate.standard_error);
  row["low"] = estimate.interval ? json(estimate.interval->low) : json();
  row["high"] = estimate.interval ? json(estimate.interval->high) : json();
  row["runs"] = estimate.count;
  row["diverged"] = estimate.diverged;
}

template <class Rows, class Member>
bool varies(const Rows& rows, Member member) {
  std::set<std::string> values;
  for (const auto& row : rows) values.insert(row.*member);
  return values.size() > 1;
}

/// Columns that are there where lines of a table need them.
struct LineColumns {
  bool model = false, setting = false;

  void add_names(Sheet& sheet) const {
    if (model) sheet.columns.push_back({"model"});
    sheet.columns.push_back({"method"});
    sheet.columns.push_back({"rank", true});
    if (setting) sheet.columns.push_back({"settings"});
  }
  void add_cells(const ScoreLine& line, std::vector<SheetCell>& row) const {
    if (model) row.push_back({line.model});
    row.push_back({line.method});
    row.push_back({line.rank.empty() ? unknown : line.rank});
    if (setting) row.push_back({line.setting});
  }
};

json line_names(const ScoreLine& line) {
  return {{"model", line.model},
          {"method", line.method},
          {"rank", line.rank},
          {"setting", line.setting},
          {"parameters", line.parameters}};
}

std::string reach_text(const std::optional<Reach>& reach, bool counts) {
  if (!reach) return unknown;
  if (!reach->size) return "not reached";
  const std::string size = counts
                               ? short_count(static_cast<std::int64_t>(std::llround(*reach->size)))
                               : fmt::format("{:.3g}", *reach->size);
  return (reach->at_most ? "\u2264 " : "") + size;
}

json reach_json(const std::optional<Reach>& reach) {
  return reach ? json_of(reach->size) : json();
}

}  // namespace

ScoreSheet score_sheet(const ScoreTable& table, int decimals) {
  ScoreSheet result{{}, json::array()};
  const LineColumns lines{varies(table.lines, &ScoreLine::model),
                          varies(table.lines, &ScoreLine::setting)};
  const bool has_mean = table.columns.size() > 1;
  lines.add_names(result.sheet);
  result.sheet.columns.push_back({"parameters", true});
  for (const ScoreColumn& column : table.columns)
    result.sheet.columns.push_back({column.task, true});
  if (has_mean) {
    result.sheet.columns.push_back({"mean", true});
    result.sheet.columns.push_back({"IQM", true});
  }
  bool any_best = false;
  for (const ScoreLine& line : table.lines) {
    std::vector<SheetCell> row;
    lines.add_cells(line, row);
    row.push_back({std::to_string(line.parameters)});
    double common = 0;
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const ScoreColumn& column = table.columns[i];
      const ScoreCell& cell = line.cells[i];
      const double factor = label_of_metric(column.metric).second;
      common = i == 0 || common == factor ? factor : 1;
      row.push_back(cell_of(cell.estimate, cell.best, decimals, factor));
      any_best = any_best || cell.best;
      if (!cell.estimate) continue;
      json flat = line_names(line);
      flat["task"] = column.task;
      flat["metric"] = column.metric;
      add_estimate(flat, *cell.estimate);
      flat["best"] = cell.best;
      result.rows.push_back(std::move(flat));
    }
    if (has_mean) {
      row.push_back(cell_of(line.mean, line.best_mean, decimals, common));
      row.push_back(cell_of(line.interquartile_mean, false, decimals, common));
      any_best = any_best || line.best_mean;
      for (const auto& [name, estimate] :
           {std::pair("mean over tasks", &line.mean), std::pair("IQM", &line.interquartile_mean)}) {
        if (!*estimate) continue;
        json flat = line_names(line);
        flat["task"] = "";
        flat["metric"] = name;
        add_estimate(flat, **estimate);
        flat["best"] = line.best_mean && estimate == &line.mean;
        result.rows.push_back(std::move(flat));
      }
    }
    result.sheet.rows.push_back(std::move(row));
  }
  std::vector<std::string>& notes = result.sheet.notes;
  std::string metrics;
  for (const ScoreColumn& column : table.columns)
    metrics += fmt::format("{}{}: {}", metrics.empty() ? "" : "; ", column.task,
                           label_of_metric(column.metric).first);
  notes.push_back(metrics);
  notes.push_back(
      "mean \u00b1 half of Student's 95 % interval over seeds; ? where one run cannot tell");
  if (has_mean)
    notes.push_back(
        "mean and interquartile mean (IQM) over tasks with stratified bootstrap 95 % intervals");
  if (any_best)
    notes.push_back(
        "marked: the best of its column, told from every other line but none and full by a paired "
        "t-test (p < 0.05 after Holm's correction)");
  return result;
}

ScoreSheet method_sheet(const std::vector<MethodCurve>& curves, int decimals) {
  ScoreSheet result{{}, json::array()};
  const bool models = varies(curves, &MethodCurve::model),
             settings = varies(curves, &MethodCurve::setting);
  bool budgets = false;
  for (const MethodCurve& curve : curves) budgets = budgets || curve.at_budget;
  Sheet& sheet = result.sheet;
  sheet.columns = {{"task"}};
  if (models) sheet.columns.push_back({"model"});
  sheet.columns.push_back({"method"});
  if (settings) sheet.columns.push_back({"settings"});
  for (const char* name : {"parameters", "on front", "area", "reaches full", "at rank"})
    sheet.columns.push_back({name, true});
  if (budgets) sheet.columns.push_back({"at budget", true});
  for (const MethodCurve& curve : curves) {
    const double factor = label_of_metric(curve.metric).second;
    std::vector<SheetCell> row{{curve.task}};
    if (models) row.push_back({curve.model});
    row.push_back({curve.method, "", curve.diverged > 0 ? runs(curve.diverged) : ""});
    if (settings) row.push_back({curve.setting});
    const std::string smallest = short_count(static_cast<std::int64_t>(curve.smallest)),
                      largest = short_count(static_cast<std::int64_t>(curve.largest));
    row.push_back({smallest == largest ? smallest : smallest + " to " + largest});
    row.push_back({fmt::format("{} of {}", curve.on_front, curve.points)});
    row.push_back({number(curve.area.value, decimals, factor)});
    row.push_back({reach_text(curve.parameters_to_reach, true)});
    row.push_back({reach_text(curve.rank_to_reach, false)});
    json flat = {{"task", curve.task},
                 {"metric", curve.metric},
                 {"model", curve.model},
                 {"method", curve.method},
                 {"setting", curve.setting},
                 {"smallest", curve.smallest},
                 {"largest", curve.largest},
                 {"points", curve.points},
                 {"on_front", curve.on_front},
                 {"diverged", curve.diverged},
                 {"area", json_of(curve.area.value)},
                 {"area_standard_error", json_of(curve.area.standard_error)},
                 {"parameters_to_reach", reach_json(curve.parameters_to_reach)},
                 {"rank_to_reach", reach_json(curve.rank_to_reach)}};
    if (budgets) {
      const CurveValue value = curve.at_budget.value_or(CurveValue{});
      const std::string spread = !value.value ? ""
                                 : value.standard_error
                                     ? number(value.standard_error, decimals, factor)
                                     : "?";
      row.push_back({number(value.value, decimals, factor), spread});
      flat["at_budget"] = json_of(value.value);
      flat["at_budget_standard_error"] = json_of(value.standard_error);
    }
    sheet.rows.push_back(std::move(row));
    result.rows.push_back(std::move(flat));
  }
  return result;
}

ScoreSheet comparison_sheet(const std::vector<LineComparison>& comparisons, const ScoreTable& table,
                            int decimals) {
  ScoreSheet result{{}, json::array()};
  const bool models = varies(comparisons, &LineComparison::model),
             tasks = varies(comparisons, &LineComparison::task);
  Sheet& sheet = result.sheet;
  if (models) sheet.columns.push_back({"model"});
  if (tasks) sheet.columns.push_back({"task"});
  sheet.columns.push_back({"first"});
  sheet.columns.push_back({"second"});
  for (const char* name : {"pairs", "difference", "t", "p", "p (Holm)", "Wilcoxon p", "p (Holm)"})
    sheet.columns.push_back({name, true});
  for (const LineComparison& comparison : comparisons) {
    double factor = 1;
    for (const ScoreColumn& column : table.columns)
      if (comparison.task.empty() || column.task == comparison.task)
        factor = label_of_metric(column.metric).second;
    const PairedTest &t = comparison.t, &wilcoxon = comparison.wilcoxon;
    std::vector<SheetCell> row;
    if (models) row.push_back({comparison.model});
    if (tasks) row.push_back({comparison.task.empty() ? "all" : comparison.task});
    row.push_back({comparison.first->name()});
    row.push_back({comparison.second->name()});
    row.push_back({std::to_string(t.count), "", t.diverged > 0 ? runs(t.diverged) : ""});
    row.push_back({t.mean_difference
                       ? fmt::format("{:+.{}f}", *t.mean_difference * factor, decimals)
                       : unknown});
    row.push_back({number(t.statistic, 2)});
    row.push_back({probability(t.p_value)});
    row.push_back({probability(comparison.t_adjusted)});
    row.push_back({probability(wilcoxon.p_value)});
    row.push_back({probability(comparison.wilcoxon_adjusted)});
    sheet.rows.push_back(std::move(row));
    result.rows.push_back({{"model", comparison.model},
                           {"task", comparison.task},
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
                           {"wilcoxon_p_holm", json_of(comparison.wilcoxon_adjusted)}});
  }
  sheet.notes.push_back(
      "difference: first less second, over the seeds that both have; Holm's correction over the "
      "comparisons of a task; - where the runs cannot tell");
  return result;
}

std::string rows_as_csv(const json& rows) {
  std::string text;
  const auto add = [&](const auto& values, auto&& text_of) {
    bool first = true;
    for (const auto& [key, value] : values.items()) {
      text += (first ? "" : ",") + csv_field(text_of(key, value));
      first = false;
    }
    text += '\n';
  };
  if (rows.empty()) return text;
  add(rows.front(), [](const std::string& key, const json&) { return key; });
  for (const json& row : rows)
    add(row, [](const std::string&, const json& value) {
      return value.is_null() ? "" : value.is_string() ? value.get<std::string>() : value.dump();
    });
  return text;
}

}  // namespace rankfold
