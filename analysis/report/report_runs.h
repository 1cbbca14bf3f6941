#pragma once

#include <string>
#include <vector>

#include "experiments/runs/run_record.h"

namespace rankfold {

/// The table of runs as JSON for report_page.js, column by column: {runs, columns: [{name, words,
/// cells}]} where a cell is the position of its text among the words, or {name, digits, cells} with
/// numbers and null; digits is -1 for counts. `look` is the class of a column's cells.
std::string runs_document(const std::vector<RunRecord>& runs,
                          const std::vector<std::string>& settings);

}  // namespace rankfold
