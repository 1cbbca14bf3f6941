#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bounds.h"

namespace rankfold {

struct TableRow {
  std::size_t line = 0;            ///< of its first character, 1-based
  std::vector<std::string> cells;  ///< one for each of Table::columns, byte for byte (valid UTF-8)
};

/// Chosen columns of a file of rows.
struct Table {
  std::filesystem::path file;
  std::vector<std::string> columns;
  std::vector<TableRow> rows;
  std::size_t broken = 0;  ///< rows that were left out, see TableLayout
};

/// What is read of a file of rows.
struct TableLayout {
  /// The columns by name. Of several choices the first one is taken that the file has whole.
  std::vector<std::vector<std::string>> choices;
  /// The names of all columns, for a TSV file without a header.
  std::vector<std::string> header = {};
  /// Rows that lack columns, or whose chosen cells are not all there, are counted and left out;
  /// otherwise they are errors.
  bool leaves_out_broken = false;
};

/// Whether the name ends in .tsv, .csv or .jsonl: the files that read_table reads.
bool is_table_file(const std::filesystem::path& file);

/// Reads a UTF-8 file of rows by the ending of its name:
///
///   .jsonl  JSON lines: a row is an object, its keys are the columns (those of the first row
///           decide which choice is taken). A string stands as it is, a number, true or false as
///           JSON writes it
///   .csv    RFC 4180, with a header: see read_csv
///   others  TAB-separated, with a header unless the layout has one. There is no quoting: every
///           TAB separates, quotes are text
///
/// A byte order mark and a CR before the LF are dropped. Throws Error naming file and line, and
/// column or key: missing or empty file, no rows, invalid UTF-8, a zero byte, a row of another
/// number of columns than the header, a column that is missing.
Table read_table(const std::filesystem::path& file, const TableLayout& layout);

/// The cell as a sentence: not empty, not only white space. Moved out of the row. Throws Error
/// naming file, line and column.
std::string take_sentence(const Table& table, TableRow& row, std::size_t cell);

/// The cell as a decimal number within the range. Throws Error naming file, line and column.
double take_number(const Table& table, const TableRow& row, std::size_t cell, const Bounds& range);

/// The cell as a class: one of the names; where `by_number` says so, also its position as a number.
/// Throws Error naming file, line and column.
std::size_t take_class(const Table& table, const TableRow& row, std::size_t cell,
                       const std::vector<std::string>& classes, bool by_number);

}  // namespace rankfold
