#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "experiments/runs/result_row.h"

namespace rankfold {

/// Which runs count, and which of their settings.
struct RunSelection {
  /// "key=value", "key=value,value": runs with one of the values, by what they mean (setting_form).
  /// A value of targets, layers or train is a list: there ';' stands between several.
  std::vector<std::string> where;
  std::vector<std::string> ignored;  ///< settings that tell no runs apart
};

/// A run as `settle_runs` sees it: its row, and settings beside those of the row ("" or none).
struct RunView {
  ResultRow* row = nullptr;
  const std::map<std::string, std::string>* settings = nullptr;
  bool is_result = true;  ///< others are selected, and compared with nothing

  bool is_run_file() const { return !row->model_path.empty(); }
};

/// A key of RunSelection::where and the values that it allows.
struct RunClause {
  std::string key;
  std::set<std::string> values;
};

/// Throws UsageError for a text that is not key=value.
std::vector<RunClause> run_clauses(const std::vector<std::string>& where);

/// Whether the run has one of the values; one that is no result and does not tell may.
bool satisfies(const RunView& run, const RunClause& clause);

/// Throws UsageError for a key that no run has (with the nearest) or a value that none has.
void expect_answers(const RunClause& clause, const std::vector<RunView>& runs);

/// Takes these settings from all runs. Throws UsageError for one that none has.
void ignore_settings(const std::vector<RunView>& runs, const std::vector<std::string>& ignored);

}  // namespace rankfold
