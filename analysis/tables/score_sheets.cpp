#include "analysis/tables/score_sheets.h"

#include <cmath>
#include <functional>
#include <utility>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/figures/figure_plan.h"
#include "analysis/tables/sheet_columns.h"
#include "analysis/tables/sheet_numbers.h"
#include "core/base/csv.h"
#include "core/base/text.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

std::string number(const std::optional<double>& value, int decimals, double factor = 1) {
  return value ? fixed_text(*value * factor, decimals) : no_value;
}

/// The signs that the cells of a sheet have.
struct UsedMarks {
  bool constant = false, partly_constant = false, equal = false, cut = false, best = false;
};

SheetCell cell_of(const std::optional<Estimate>& estimate, int decimals, double factor,
                  UsedMarks& used) {
  if (!estimate) return {no_value};
  SheetCell cell;
  cell.remark = diverged_text(estimate->diverged);
  if (!estimate->value) {
    cell.value = std::exchange(cell.remark, "");
    return cell;
  }
  cell.value = fixed_text(*estimate->value * factor, decimals);
  const SpreadText spread = spread_text(*estimate, decimals, factor);
  cell.spread = spread.above.empty() ? not_told : spread.above;
  cell.below = spread.below;
  used.cut = used.cut || !cell.below.empty();
  return cell;
}

SheetCell cell_of(const ScoreCell& scores, int decimals, double factor, UsedMarks& used) {
  SheetCell cell = cell_of(scores.estimate, decimals, factor, used);
  if (scores.runs == 0 || !scores.estimate) return cell;
  if (cell.value.empty()) cell.value = not_told;  // none is defined
  cell.bold = scores.best;
  cell.mark = mark_of_constants(scores);
  if (cell.mark.empty() && scores.estimate->standard_error == 0) cell.mark = equal_mark;
  used.constant = used.constant || cell.mark == constant_mark;
  used.partly_constant = used.partly_constant || cell.mark == partly_constant_mark;
  used.equal = used.equal || cell.mark == equal_mark;
  used.best = used.best || cell.bold;
  return cell;
}

void add_estimate(json& row, const Estimate& estimate) {
  row["mean"] = json_of(estimate.value);
  row["standard_error"] = json_of(estimate.standard_error);
  row["low"] = estimate.interval ? json_of(estimate.interval->low) : json();
  row["high"] = estimate.interval ? json_of(estimate.interval->high) : json();
  row["runs"] = estimate.count;
  row["diverged"] = estimate.diverged;
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
    row.push_back({line.rank.empty() ? no_value : line.rank});
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
  if (!reach) return no_value;
  if (!reach->size) return "not reached";
  const std::string size = counts
                               ? short_count(static_cast<std::int64_t>(std::llround(*reach->size)))
                               : fmt::format("{:.3g}", *reach->size);
  return (reach->at_most ? "\u2264 " : "") + size;
}

json reach_json(const std::optional<Reach>& reach) {
  return reach ? json_of(reach->size) : json();
}

json method_record(const MethodCurve& curve, bool budgets) {
  json record = {{"task", curve.task},
                 {"metric", curve.metric},
                 {"model", curve.model},
                 {"method", curve.method},
                 {"setting", curve.setting},
                 {"smallest", curve.smallest},
                 {"largest", curve.largest},
                 {"points", curve.points},
                 {"on_front", curve.on_front},
                 {"diverged", curve.diverged},
                 {"constant", curve.constant},
                 {"area", json_of(curve.area.value)},
                 {"area_standard_error", json_of(curve.area.standard_error)},
                 {"parameters_to_reach", reach_json(curve.parameters_to_reach)},
                 {"rank_to_reach", reach_json(curve.rank_to_reach)}};
  if (budgets) {
    const CurveValue value = curve.at_budget.value_or(CurveValue{});
    record["at_budget"] = json_of(value.value);
    record["at_budget_standard_error"] = json_of(value.standard_error);
  }
  return record;
}

std::string left_out_text(const MethodCurve& curve) {
  std::string text = diverged_text(curve.diverged);
  if (curve.constant > 0)
    text += fmt::format("{}{} of one class", text.empty() ? "" : ", ", curve.constant);
  return text;
}

void add_score_notes(Sheet& sheet, const ScoreTable& table, const UsedMarks& used) {
  std::vector<std::string>& notes = sheet.notes;
  std::string metrics;
  for (const ScoreColumn& column : table.columns)
    metrics += fmt::format("{}{}: {}", metrics.empty() ? "" : "; ", column.task,
                           score_metric(column.metric).label);
  notes.push_back(metrics);
  notes.push_back(
      "\u00b1 half of the 95 % interval of the mean over seeds (Student's t), in every column; ? "
      "where one run cannot tell");
  if (used.cut)
    notes.push_back("-a/+b where the interval ends with the metric's range on one of its sides");
  if (table.has_mean)
    notes.push_back(
        "mean: over tasks; its interval is over seeds, each with its scores on all tasks (where "
        "seeds "
        "are missing or differ between tasks: cluster-robust, by seed)");
  for (const ScoreColumn& column : table.columns) {
    const ScoreMetric metric = score_metric(column.metric);
    if (!metric.is_known)
      notes.push_back(fmt::format("{}: an unknown metric, taken as better where it is {}",
                                  column.metric, metric.less_is_better ? "less" : "more"));
  }
  if (table.has_interquartile_mean)
    notes.push_back("IQM: interquartile mean of all scores; its interval is over seeds likewise");
  else if (table.has_mean)
    notes.push_back(fmt::format("no interquartile mean: it takes {} tasks or more of one metric",
                                fewest_interquartile_tasks));
  else if (table.columns.size() > 1)
    notes.push_back("no mean over tasks: their metrics have different scales");
  note_constants(sheet, used.constant, used.partly_constant, table.columns);
  if (used.equal)
    notes.push_back(fmt::format(
        "{}: every run has the same score; that is no proof that further runs would", equal_mark));
  if (used.best)
    notes.push_back(
        "marked: the best of its column, told from every other line but none and full by a paired "
        "t-test (p < 0.05 after Holm's correction)");
}

}  // namespace

void ScoreSheet::set_records(std::vector<json> records) {
  record_count = records.size();
  if (!records.empty()) keys = keys_of(records.front());
  record = [kept = std::move(records)](std::size_t at) { return kept[at]; };
}

ScoreSheet score_sheet(const ScoreTable& table, int decimals) {
  ScoreSheet result;
  std::vector<SheetRow> rows;
  std::vector<json> records;
  const LineColumns lines{varies(table.lines, std::mem_fn(&ScoreLine::model)),
                          varies(table.lines, std::mem_fn(&ScoreLine::setting))};
  lines.add_names(result.sheet);
  result.sheet.columns.push_back({"parameters", true});
  std::vector<double> factors;
  for (const ScoreColumn& column : table.columns) {
    factors.push_back(score_metric(column.metric).factor);
    result.sheet.columns.push_back({column.task, true});
  }
  if (table.has_mean) result.sheet.columns.push_back({"mean", true});
  if (table.has_interquartile_mean) result.sheet.columns.push_back({"IQM", true});
  UsedMarks used;
  for (const ScoreLine& line : table.lines) {
    const auto add_record = [&](const std::string& task, const std::string& metric,
                                const std::optional<Estimate>& estimate, const ScoreCell& cell,
                                std::optional<double> majority, bool best) {
      if (!estimate) return;
      json& record = records.emplace_back(line_names(line));
      record["task"] = task;
      record["metric"] = metric;
      add_estimate(record, *estimate);
      record["best"] = best;
      record["constant"] = cell.constant;
      record["undefined"] = cell.undefined;
      record["majority_score"] = json_of(majority);
    };
    SheetRow& row = rows.emplace_back();
    lines.add_cells(line, row);
    row.push_back({std::to_string(line.parameters)});
    for (std::size_t i = 0; i < table.columns.size(); ++i) {
      const ScoreColumn& column = table.columns[i];
      const ScoreCell& cell = line.cells[i];
      row.push_back(cell_of(cell, decimals, factors[i], used));
      add_record(column.task, column.metric, cell.estimate, cell, column.majority, cell.best);
    }
    if (table.has_mean) {
      row.push_back(cell_of(line.mean, decimals, factors[0], used));
      add_record("", "mean over tasks", line.mean.estimate, line.mean, {}, line.mean.best);
    }
    if (table.has_interquartile_mean) {
      row.push_back(cell_of(line.interquartile_mean, decimals, factors[0], used));
      add_record("", "IQM", line.interquartile_mean, line.mean, {}, false);
    }
  }
  result.sheet.set_rows(std::move(rows));
  result.set_records(std::move(records));
  add_score_notes(result.sheet, table, used);
  return result;
}

ScoreSheet method_sheet(const std::vector<MethodCurve>& curves, int decimals) {
  ScoreSheet result;
  std::vector<SheetRow> rows;
  std::vector<json> records;
  const bool models = varies(curves, std::mem_fn(&MethodCurve::model)),
             settings = varies(curves, std::mem_fn(&MethodCurve::setting));
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
    const double factor = score_metric(curve.metric).factor;
    SheetRow row{{curve.task}};
    if (models) row.push_back({curve.model});
    row.push_back({curve.method, "", left_out_text(curve)});
    if (settings) row.push_back({curve.setting});
    const std::string smallest = short_count(static_cast<std::int64_t>(curve.smallest)),
                      largest = short_count(static_cast<std::int64_t>(curve.largest));
    row.push_back({smallest == largest ? smallest : smallest + " to " + largest});
    row.push_back({fmt::format("{} of {}", curve.on_front, curve.points)});
    row.push_back({number(curve.area.value, decimals, factor)});
    row.push_back({reach_text(curve.parameters_to_reach, true)});
    row.push_back({reach_text(curve.rank_to_reach, false)});
    if (budgets) {
      const CurveValue value = curve.at_budget.value_or(CurveValue{});
      const std::string spread = !value.value ? ""
                                 : value.standard_error
                                     ? number(value.standard_error, decimals, factor)
                                     : not_told;
      row.push_back({number(value.value, decimals, factor), spread});
    }
    rows.push_back(std::move(row));
    records.push_back(method_record(curve, budgets));
  }
  sheet.set_rows(std::move(rows));
  result.set_records(std::move(records));
  result.keys = keys_of(method_record({}, budgets));
  return result;
}

json records_as_json(const ScoreSheet& sheet) {
  json records = json::array();
  for (std::size_t at = 0; at < sheet.record_count; ++at) records.push_back(sheet.record(at));
  return records;
}

std::string records_as_csv(const ScoreSheet& sheet) {
  std::string text;
  const auto add = [&](const std::vector<std::string>& fields) {
    std::vector<std::string> safe;
    for (const std::string& field : fields) safe.push_back(csv_field(field));
    text += join(safe, ",") + '\n';
  };
  add(sheet.keys);
  for (std::size_t at = 0; at < sheet.record_count; ++at) {
    std::vector<std::string> fields;
    const json record = sheet.record(at);
    for (const json& value : record)
      fields.push_back(value.is_null()     ? ""
                       : value.is_string() ? value.get<std::string>()
                                           : value.dump());
    add(fields);
  }
  return text;
}

}  // namespace rankfold
