#include "analysis/tables/sheet_columns.h"

#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/tables/sheet_numbers.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {

nlohmann::ordered_json json_of(const std::optional<double>& value) {
  if (!value || !std::isfinite(*value)) return {};
  return *value == 0 ? 0.0 : *value;  // without a sign
}

std::vector<std::string> keys_of(const nlohmann::ordered_json& record) {
  std::vector<std::string> keys;
  for (const auto& [key, value] : record.items()) keys.push_back(key);
  return keys;
}

std::string mark_of_constants(const ScoreCell& cell) {
  if (cell.all_constant()) return constant_mark;
  return cell.constant > 0 ? partly_constant_mark : "";
}

void note_constants(Sheet& sheet, bool all, bool some, const std::vector<ScoreColumn>& columns) {
  std::string majority, undefined;
  for (const ScoreColumn& column : columns) {
    const ScoreMetric metric = score_metric(column.metric);
    if (metric.needs_spread) undefined += (undefined.empty() ? "" : ", ") + column.task;
    if (column.majority && !metric.needs_spread)
      majority += fmt::format("{}{} {}", majority.empty() ? "" : ", ", column.task,
                              fixed_text(*column.majority * metric.factor, 2));
  }
  const std::string one_class = "gave every row one class (or one number): that is no finding";
  if (all) sheet.notes.push_back(fmt::format("{}: every run {}", constant_mark, one_class));
  if (some) sheet.notes.push_back(fmt::format("{}: some runs {}", partly_constant_mark, one_class));
  if (!all && !some) return;
  if (!majority.empty())
    sheet.notes.push_back("the largest class for every row scores: " + majority);
  if (!undefined.empty())
    sheet.notes.push_back(
        "of such runs " + undefined +
        " has no score, a correlation with one number; among others they count as 0");
}

}  // namespace rankfold
