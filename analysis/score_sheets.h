#pragma once

#include <nlohmann/json.hpp>

#include "analysis/score_table.h"
#include "analysis/sheet.h"

namespace rankfold {

/// A table to read, and the same numbers in full, one flat object a row.
struct ScoreSheet {
  Sheet sheet;
  nlohmann::ordered_json rows;  ///< unknown: null
};

/// A line a row, a task a column: mean +- half of Student's 95 % interval ("?" for a single run).
/// Scores of metrics that lie in [-1, 1] are shown times 100; in `rows` they are as measured, one
/// row a line and task.
ScoreSheet score_sheet(const ScoreTable& table, int decimals);
/// A row for every method (and setting) and task.
ScoreSheet method_sheet(const std::vector<MethodCurve>& curves, int decimals);
/// A row for every comparison.
ScoreSheet comparison_sheet(const std::vector<LineComparison>& comparisons, const ScoreTable& table,
                            int decimals);

/// The rows as CSV, with the columns of the first.
std::string rows_as_csv(const nlohmann::ordered_json& rows);

}  // namespace rankfold
