#pragma once

#include <cstddef>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

#include "experiments/commands/options.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_identity.h"

namespace rankfold {

/// The results that a command works on: figure, table and report name them alike, by position or by
/// --input, several of either, and pick from them by --where and --ignore.
struct ResultInput {
  std::vector<std::filesystem::path> places;  ///< files and folders, each once
  RunSelection selection;

  bool empty() const { return places.empty(); }
};

/// --input, --where and --ignore, for the table of a command's options. `what` may stand there.
std::vector<Option> result_options(const std::string& what);
/// INPUT..., as the last of a command's positionals.
Positional result_positional();

/// What was given: positionals from `first` on, then those of --input. Throws UsageError for a
/// place that is given twice.
ResultInput result_input(const Arguments& arguments, std::size_t first);

/// Reads the results of all places, as one (settle_runs); `tables` are names of the tables that may
/// stand for a folder (table_of). What there is to tell goes to `err`, a line each. Throws as
/// read_results and settle_runs.
std::vector<ResultRow> read_all_results(const ResultInput& input,
                                        const std::vector<const char*>& tables, std::ostream& err);

/// A line each.
void tell_notes(const std::vector<std::string>& notes, std::ostream& err);

}  // namespace rankfold
