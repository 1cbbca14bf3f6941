#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "analysis/tables/score_table.h"
#include "analysis/tables/sheet.h"

namespace rankfold {

/// What the sheets of scores, methods and comparisons share.
inline constexpr const char* no_value = "-";  ///< there is no such thing
inline constexpr const char* not_told = "?";  ///< the runs cannot tell
/// Signs behind a value or name (see score_sheet).
inline constexpr const char *constant_mark = "\u2020", *partly_constant_mark = "\u2021",
                            *equal_mark = "\u00a7";

nlohmann::ordered_json json_of(const std::optional<double>& value);
std::vector<std::string> keys_of(const nlohmann::ordered_json& record);

/// constant_mark, partly_constant_mark or "".
std::string mark_of_constants(const ScoreCell& cell);

/// The notes that explain those marks where they are used, with what the largest class scores.
void note_constants(Sheet& sheet, bool all, bool some, const std::vector<ScoreColumn>& columns);

template <class Rows, class Value>
bool varies(const Rows& rows, Value value) {
  std::set<std::string> values;
  for (const auto& row : rows) {
    values.insert(value(row));
    if (values.size() > 1) return true;
  }
  return false;
}

}  // namespace rankfold
