#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/runs/result_row.h"
#include "experiments/runs/run_identity.h"

namespace rankfold {

/// A run with all that its folder tells of it, or a row of a table of results.
struct RunRecord {
  ResultRow row;  ///< with a score where it is done, NaN where it diverged; else as far as known
  std::string folder;  ///< below the results folder, "." for itself; of a table's row file:line
  std::string status;  ///< done, diverged, failed, unfinished (a sweep lists it, and it has no
                       ///< run.json), unreadable (its run.json is not one)
  std::string reason;  ///< why it is not done, as far as run.json and log.txt tell
  std::map<std::string, std::string> settings;  ///< all that are told
  std::optional<std::int64_t> total;            ///< parameters of the model, head and adapter
  std::string machine;
  std::map<std::string, std::string> versions;

  bool is_result() const { return status == "done" || status == "diverged"; }
};

struct RunRecords {
  std::filesystem::path source;         ///< the folder or the table; the first of several
  std::size_t inputs = 1;               ///< how many were put together
  bool is_table = false;                ///< without machines, versions and runs that are not done
  std::vector<RunRecord> runs = {};     ///< by folder; a table's in its order
  std::vector<std::string> notes = {};  ///< as those of Results

  std::vector<ResultRow> results() const;
};

/// Reads every run.json below a folder, and the runs that its sweep.json files list without one
/// (below the sweep.json's own folder: others are no runs of it); or a table of results, counts or
/// fits (see read_results), also given as the folder of a sweep that left one (counts.csv,
/// fits.csv). A run.json that is not as it should be is a record of status unreadable, which names
/// what is wrong. Of several inputs all runs are put together, their folders by the input's name.
/// What counts is settled by settle_runs.
///
/// Throws Error naming the file or folder: for one that is missing or cannot be read, without runs,
/// and as read_results for a table; and as settle_runs.
RunRecords read_run_records(const std::vector<std::filesystem::path>& results,
                            const RunSelection& selection = {});
RunRecords read_run_records(const std::filesystem::path& results);

}  // namespace rankfold
