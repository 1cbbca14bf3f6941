#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

struct TsvRow {
  std::size_t line = 0;  ///< 1-based
  std::vector<std::string> columns;
};

/// The rows of a TAB-separated UTF-8 file, in order. There is no quoting: every TAB separates. A
/// byte order mark and a CR before the LF are dropped; the last line may lack its LF. Every row
/// must have `columns` columns, or as many as the first row where `columns` is 0. Throws Error
/// naming file and line: missing or empty file, invalid UTF-8, a zero byte, another number of
/// columns.
std::vector<TsvRow> read_tsv(const std::filesystem::path& file, std::size_t columns = 0);

/// The position of column `name` in the header. Throws Error naming the file, the columns found and
/// the missing one.
std::size_t find_column(const std::filesystem::path& file, const TsvRow& header,
                        std::string_view name);

/// The cell as a class, 0 or 1. Throws Error naming file and line.
float take_class(const std::filesystem::path& file, const TsvRow& row, std::size_t column);

/// The cell as a decimal number within lowest and highest, both included. Throws Error naming file
/// and line.
double take_number(const std::filesystem::path& file, const TsvRow& row, std::size_t column,
                   double lowest, double highest);

/// The cell as a sentence: not empty, not only spaces. Throws Error naming file and line.
std::string take_sentence(const std::filesystem::path& file, TsvRow& row, std::size_t column);

}  // namespace rankfold
