#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// A comma-separated file with a header line (RFC 4180: fields may be quoted; a quoted field may
/// hold commas, line ends and doubled quotes).
struct CsvTable {
  struct Row {
    std::size_t line = 0;  ///< of its first character, counted from 1
    std::vector<std::string> fields;
  };
  std::filesystem::path file;
  std::vector<std::string> columns;
  std::vector<Row> rows;

  bool has(std::string_view column) const;
  /// Position of a column. Throws Error naming the file, the column, the columns that are there and
  /// the nearest of them.
  std::size_t position(std::string_view column) const;
};

/// Reads a CSV file; a byte order mark, CR LF and empty lines are accepted. Throws Error naming the
/// file and line for a quote that is not closed or stands inside an unquoted field, a row whose
/// number of fields differs from the header's, an empty or repeated column name (the first may be
/// empty, as pandas writes its index), other separators, UTF-16, an empty file.
CsvTable read_csv(const std::filesystem::path& file);
/// The same of text that is at hand; `file` is its name in messages.
CsvTable parse_csv(const std::filesystem::path& file, std::string_view text);

/// A field as CSV: quoted where it has to be.
std::string csv_field(std::string_view text);

}  // namespace rankfold
