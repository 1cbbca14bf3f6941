#include "experiments/tasks/tsv.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/text_lines.h"

namespace rankfold {

std::vector<TsvRow> read_tsv(const std::filesystem::path& file, std::size_t columns) {
  const std::string text = read_rows_text(file);
  std::vector<TsvRow> rows;
  for (const TextLine& line : lines_of(text)) {
    TsvRow row{line.number, split(line.text, '\t')};
    if (columns == 0) columns = row.columns.size();
    if (row.columns.size() != columns) {
      throw Error("{}: found {} TAB-separated columns ({}), expected {}",
                  place_of(file, line.number), row.columns.size(), quoted(line.text), columns);
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::size_t find_column(const std::filesystem::path& file, const TsvRow& header,
                        std::string_view name) {
  const auto found = std::find(header.columns.begin(), header.columns.end(), name);
  if (found == header.columns.end()) {
    throw Error("{}: found columns {}, expected a header with column '{}'",
                place_of(file, header.line), quoted(join(header.columns, ", ")), name);
  }
  return static_cast<std::size_t>(found - header.columns.begin());
}

float take_class(const std::filesystem::path& file, const TsvRow& row, std::size_t column) {
  const std::string& cell = row.columns[column];
  if (cell == "0") return 0.0F;
  if (cell == "1") return 1.0F;
  throw Error("{}: found label {} in column {}, expected 0 or 1", place_of(file, row.line),
              quoted(cell), column + 1);
}

double take_number(const std::filesystem::path& file, const TsvRow& row, std::size_t column,
                   double lowest, double highest) {
  const std::string& cell = row.columns[column];
  const std::optional<double> value = parse_number<double>(cell);
  if (!value || *value < lowest || *value > highest) {
    throw Error("{}: found score {} in column {}, expected a number from {} to {}",
                place_of(file, row.line), quoted(cell), column + 1, lowest, highest);
  }
  return *value;
}

std::string take_sentence(const std::filesystem::path& file, TsvRow& row, std::size_t column) {
  std::string& cell = row.columns[column];
  if (cell.find_first_not_of(' ') == std::string::npos) {
    throw Error("{}: found no text in column {}, expected a sentence", place_of(file, row.line),
                column + 1);
  }
  return std::move(cell);
}

}  // namespace rankfold
