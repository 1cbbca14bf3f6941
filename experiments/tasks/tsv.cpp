#include "experiments/tasks/tsv.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// The offset of the first byte that no well-formed UTF-8 sequence covers.
std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = utf8_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::nullopt;
}

std::string quote(std::string_view cell) {
  constexpr std::size_t longest = 60;
  return fmt::format("'{}'", printable(cell, longest));
}

/// FILE:LINE for the start of a message.
std::string place(const std::filesystem::path& file, std::size_t line) {
  return fmt::format("{}:{}", printable(file.string()), line);
}

}  // namespace

std::vector<TsvRow> read_tsv(const std::filesystem::path& file, std::size_t columns) {
  const std::string text = read_text(file);
  std::string_view rest = text;
  if (rest.starts_with("\xEF\xBB\xBF")) rest.remove_prefix(3);
  if (rest.empty()) throw Error("{}: found an empty file, expected rows", printable(file.string()));

  std::vector<TsvRow> rows;
  for (std::size_t number = 1; !rest.empty(); ++number) {
    const std::size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (const auto offset = find_invalid_utf8(line)) {
      throw Error("{}: found byte 0x{:02X} at position {}, expected valid UTF-8",
                  place(file, number), static_cast<std::uint8_t>(line[*offset]), *offset + 1);
    }
    if (const std::size_t zero = line.find('\0'); zero != std::string_view::npos)
      throw Error("{}: found byte 0x00 at position {}, expected text without it",
                  place(file, number), zero + 1);
    TsvRow row{number, split(line, '\t')};
    if (columns == 0) columns = row.columns.size();
    if (row.columns.size() != columns) {
      throw Error("{}: found {} TAB-separated columns ({}), expected {}", place(file, number),
                  row.columns.size(), quote(line), columns);
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
                place(file, header.line), quote(join(header.columns, ", ")), name);
  }
  return static_cast<std::size_t>(found - header.columns.begin());
}

float take_class(const std::filesystem::path& file, const TsvRow& row, std::size_t column) {
  const std::string& cell = row.columns[column];
  if (cell == "0") return 0.0F;
  if (cell == "1") return 1.0F;
  throw Error("{}: found label {} in column {}, expected 0 or 1", place(file, row.line),
              quote(cell), column + 1);
}

double take_number(const std::filesystem::path& file, const TsvRow& row, std::size_t column,
                   double lowest, double highest) {
  const std::string& cell = row.columns[column];
  const std::optional<double> value = parse_number<double>(cell);
  if (!value || *value < lowest || *value > highest) {
    throw Error("{}: found score {} in column {}, expected a number from {} to {}",
                place(file, row.line), quote(cell), column + 1, lowest, highest);
  }
  return *value;
}

std::string take_sentence(const std::filesystem::path& file, TsvRow& row, std::size_t column) {
  std::string& cell = row.columns[column];
  if (cell.find_first_not_of(' ') == std::string::npos) {
    throw Error("{}: found no text in column {}, expected a sentence", place(file, row.line),
                column + 1);
  }
  return std::move(cell);
}

}  // namespace rankfold
