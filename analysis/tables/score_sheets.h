#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "analysis/tables/score_table.h"
#include "analysis/tables/sheet.h"

namespace rankfold {

/// A table to read, and the same numbers in full. What it was made from must outlive it.
struct ScoreSheet {
  Sheet sheet;
  std::size_t record_count = 0;
  /// Of 0 to record_count - 1: a flat object, all with the same keys; unknown is null.
  std::function<nlohmann::ordered_json(std::size_t)> record;
  std::vector<std::string> keys;  ///< of a record

  void set_records(std::vector<nlohmann::ordered_json> records);
};

/// A line a row, a task a column: mean +- half of the 95 % interval, as estimate.h has it, in every
/// column ("?" for a single run; "-0.80/+0.20" where the metric's range ends it). Scores of metrics
/// that lie in [-1, 1] are shown times 100; in the records they are as measured, one a line and
/// task. Signs that notes explain: a dagger where every run predicted one class, a double one where
/// some did, a section sign where all runs have one score.
ScoreSheet score_sheet(const ScoreTable& table, int decimals);
/// A row for every method (and setting) and task.
ScoreSheet method_sheet(const std::vector<MethodCurve>& curves, int decimals);
/// A row for every comparison.
ScoreSheet comparison_sheet(const std::vector<LineComparison>& comparisons, const ScoreTable& table,
                            int decimals);

nlohmann::ordered_json records_as_json(const ScoreSheet& sheet);
/// With the records' keys as columns.
std::string records_as_csv(const ScoreSheet& sheet);

}  // namespace rankfold
