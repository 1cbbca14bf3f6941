#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "experiments/runs/parquet.h"

namespace rankfold {

/// The event files (`*.tfevents.*`) below some folders.
struct FoundLogs {
  struct File {
    std::filesystem::path root, path;
  };
  std::vector<File> files;               ///< root by root, each sorted by path
  std::vector<std::string> passed_over;  ///< what could not be read, with the reason
};

/// Throws Error naming a root that is missing or has no event file below it, and a file that two
/// roots hold; a file that a link in its own root names again is passed over.
FoundLogs find_logs(const std::vector<std::filesystem::path>& roots);

/// The number of folders without a name ("name=value" has one) between a root and a file.
std::size_t folder_depth(const FoundLogs::File& file);

/// An event file in a tree of logs.
struct LogFile {
  std::filesystem::path path;
  /// By column: the position of its value in LogColumn::values, which is its place in sorting too;
  /// the number of values where it has none.
  std::vector<std::uint32_t> places;
};

/// A column that the folders' names fill.
struct LogColumn {
  std::string name;
  ColumnType type = ColumnType::text;
  bool optional = false;  ///< some file has no value
  /// Distinct, ascending; of `type` one vector is filled.
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::string> texts;
  std::size_t size() const { return integers.size() + numbers.size() + texts.size(); }
};

struct LogTree {
  std::vector<LogFile> files;  ///< those that were found, in that order
  std::vector<LogColumn> columns;
};

/// The columns that the folders between a root and a file give, of the files that are `kept` (by
/// number; the others get the place of a missing value). `name=value` gives the column `name`;
/// other folders count: the first has the first of `names`, and where those end its position ("3").
/// Positions come first, then names as they first appear. A column is int64 where all its values
/// are whole numbers, float64 where all are numbers, as Python's int and float read them, else
/// text; a value that a file lacks, "name=" and, among numbers, "nan" are missing. Bytes that are
/// no UTF-8 read \xNN.
///
/// Throws Error naming the place: a file directly in a root, folders without a name that differ in
/// number (unless `any_depth`: the last columns are missing where there are fewer), a name given
/// twice or taken; UsageError as expect_column_names, and for more `names` than folders.
LogTree read_log_tree(const FoundLogs& logs, const std::vector<bool>& kept,
                      const std::vector<std::string>& names, bool any_depth);

/// Throws UsageError for a name that is given twice, is no UTF-8, or is tag, step or value.
void expect_column_names(const std::vector<std::string>& names);

/// Every event file with its size and the time of its last change, as text: what differs from it
/// later has changed. Folders that cannot be read are left out.
std::string log_tree_state(const std::vector<std::filesystem::path>& roots);

/// Of one text: a whole number, a number, or the text itself, as a column of such texts has it.
std::variant<std::int64_t, double, std::string> folder_value(std::string_view text);

}  // namespace rankfold
