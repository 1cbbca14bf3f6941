#include "experiments/tasks/table_file.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/json_lines.h"
#include "experiments/tasks/text_lines.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

bool is_blank(const std::string& cell) {
  return trim(cell).empty();
}

Names missing_of(const Names& wanted, const Names& columns) {
  Names missing;
  for (const std::string& name : wanted)
    if (std::ranges::find(columns, name) == columns.end()) missing.push_back(name);
  return missing;
}

/// The first choice that is there whole; of none, the error names what the nearest one lacks.
const Names& choose_columns(const fs::path& file, std::size_t line, const TableLayout& layout,
                            const Names& columns) {
  const Names* nearest = nullptr;
  Names missing;
  for (const Names& choice : layout.choices) {
    const Names lacks = missing_of(choice, columns);
    for (const std::string& name : choice)
      if (lacks.empty() && std::ranges::count(columns, name) > 1)
        throw Error("{}: the header names column {} twice, expected it once", place_of(file, line),
                    in_quotes(name));
    if (lacks.empty()) return choice;
    if (nearest == nullptr || lacks.size() < missing.size()) {
      nearest = &choice;
      missing = lacks;
    }
  }
  const std::string meant = nearest_name(missing.front(), columns);
  throw Error("{}: found columns {}, expected a header with column '{}'{}", place_of(file, line),
              in_quotes(join(columns, ", ")), printable(missing.front(), 60),
              meant.empty() ? "" : fmt::format("; is {} meant for it?", in_quotes(meant)));
}

/// The positions of the chosen columns.
std::vector<std::size_t> positions_of(const Names& chosen, const Names& columns) {
  std::vector<std::size_t> positions;
  for (const std::string& name : chosen)
    positions.push_back(
        static_cast<std::size_t>(std::ranges::find(columns, name) - columns.begin()));
  return positions;
}

/// Adds a row, or counts it as broken.
void add_row(const TableLayout& layout, TableRow row, Table& table) {
  if (layout.leaves_out_broken && std::ranges::any_of(row.cells, is_blank))
    ++table.broken;
  else
    table.rows.push_back(std::move(row));
}

void read_tsv(const TableLayout& layout, Table& table) {
  const std::string text = read_rows_text(table.file);
  std::vector<std::size_t> positions;
  Names header = layout.header;
  if (!header.empty()) {
    table.columns = choose_columns(table.file, 1, layout, header);
    positions = positions_of(table.columns, header);
  }
  for (const TextLine& line : lines_of(text)) {
    Names cells = split(line.text, '\t');
    if (header.empty()) {
      header = std::move(cells);
      table.columns = choose_columns(table.file, line.number, layout, header);
      positions = positions_of(table.columns, header);
      continue;
    }
    if (cells.size() < header.size() && layout.leaves_out_broken) {
      ++table.broken;
      continue;
    }
    if (cells.size() != header.size()) {
      throw Error("{}: found {} TAB-separated columns ({}), expected {}",
                  place_of(table.file, line.number), cells.size(), in_quotes(line.text),
                  header.size());
    }
    TableRow row{line.number, {}};
    for (const std::size_t position : positions) row.cells.push_back(std::move(cells[position]));
    add_row(layout, std::move(row), table);
  }
}

void read_comma_separated(const TableLayout& layout, Table& table) {
  CsvTable all = parse_csv(table.file, read_rows_text(table.file));
  table.columns = choose_columns(table.file, 1, layout, all.columns);
  const std::vector<std::size_t> positions = positions_of(table.columns, all.columns);
  for (CsvTable::Row& fields : all.rows) {
    TableRow row{fields.line, {}};
    for (const std::size_t position : positions)
      row.cells.push_back(std::move(fields.fields[position]));
    add_row(layout, std::move(row), table);
  }
}

void read_objects(const TableLayout& layout, Table& table) {
  for_each_json_line(table.file, [&](const JsonRow& object) {
    const JsonField fields = object.fields();
    if (table.columns.empty()) {
      Names keys;
      for (const auto& [key, value] : fields.members()) keys.push_back(key);
      table.columns = choose_columns(table.file, object.line, layout, keys);
    }
    TableRow row{object.line, {}};
    for (const std::string& column : table.columns) {
      const bool missing = layout.leaves_out_broken && !fields.find(column);
      row.cells.push_back(missing ? "" : take_cell(fields, column));
    }
    add_row(layout, std::move(row), table);
  });
}

std::string column_of(const Table& table, std::size_t cell) {
  return in_quotes(table.columns[cell]);
}

std::string classes_text(const Names& classes, bool by_number) {
  constexpr std::size_t most = 12;
  Names names(classes.begin(),
              classes.begin() + static_cast<std::ptrdiff_t>(std::min(most, classes.size())));
  if (classes.size() > most) names.push_back(fmt::format("... ({} classes)", classes.size()));
  const std::string text = printable(join(names, ", "), 200);
  if (!by_number) return "one of " + text;
  return fmt::format("0 {} {} ({})", classes.size() == 2 ? "or" : "to", classes.size() - 1, text);
}

}  // namespace

bool is_table_file(const fs::path& file) {
  const fs::path ending = file.extension();
  return ending == ".tsv" || ending == ".csv" || ending == ".jsonl";
}

Table read_table(const fs::path& file, const TableLayout& layout) {
  Table table{file, {}, {}, 0};
  const fs::path ending = file.extension();
  if (ending == ".jsonl")
    read_objects(layout, table);
  else if (ending == ".csv")
    read_comma_separated(layout, table);
  else
    read_tsv(layout, table);
  if (table.rows.empty())
    throw Error("{}: found a header and no rows, expected rows", printable(file.string()));
  return table;
}

std::string take_sentence(const Table& table, TableRow& row, std::size_t cell) {
  std::string& text = row.cells[cell];
  if (is_blank(text)) {
    throw Error("{}: found no text in column {}, expected a sentence",
                place_of(table.file, row.line), column_of(table, cell));
  }
  return std::move(text);
}

double take_number(const Table& table, const TableRow& row, std::size_t cell, const Bounds& range) {
  const std::optional<double> value = parse_number<double>(row.cells[cell]);
  if (!value || *value < range.low || *value > range.high) {
    const bool open = std::isinf(range.low) && std::isinf(range.high);
    throw Error("{}: found {} in column {}, expected a number{}", place_of(table.file, row.line),
                in_quotes(row.cells[cell]), column_of(table, cell),
                open ? "" : fmt::format(" from {} to {}", range.low, range.high));
  }
  return *value;
}

std::size_t take_class(const Table& table, const TableRow& row, std::size_t cell,
                       const Names& classes, bool by_number) {
  const std::string& text = row.cells[cell];
  const auto found = std::ranges::find(classes, text);
  if (found != classes.end()) return static_cast<std::size_t>(found - classes.begin());
  for (std::size_t number = 0; by_number && number < classes.size(); ++number)
    if (text == std::to_string(number)) return number;
  throw Error("{}: found label {} in column {}, expected {}", place_of(table.file, row.line),
              in_quotes(text), column_of(table, cell), classes_text(classes, by_number));
}

}  // namespace rankfold
