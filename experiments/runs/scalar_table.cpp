#include "experiments/runs/scalar_table.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Appends the rows that stay.
void append_kept(const ColumnValues& from, const std::vector<std::uint32_t>& kept,
                 std::size_t rows_before, ColumnValues& to) {
  const auto append = [&](const auto& source, auto& target) {
    if (source.empty()) return;
    target.reserve(target.size() + kept.size());
    for (const std::uint32_t row : kept) target.push_back(source[row]);
  };
  append(from.integers, to.integers);
  append(from.numbers, to.numbers);
  append(from.codes, to.codes);
  if (from.present.empty() && to.present.empty()) return;
  to.present.resize(rows_before, 1);
  if (from.present.empty())
    to.present.resize(rows_before + kept.size(), 1);
  else
    append(from.present, to.present);
}

template <class Column>
Error missing_column(const std::filesystem::path& file, const std::string& name,
                     const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  return Error("{}: column '{}' is missing; found {}", printable(file.string(), 300), name,
               printable(join(names, ", "), 300));
}

void require(const ScalarTable& table, const ParquetReader& reader, const std::string& name,
             bool (*fits)(ColumnType), const char* expected) {
  const auto found = std::ranges::find(reader.columns(), name, &ParquetReader::Column::name);
  if (found == reader.columns().end()) throw missing_column(table.file, name, reader.columns());
  if (!found->type || !fits(*found->type))
    throw Error("{}: column '{}' is of type {}, expected {}", printable(table.file.string(), 300),
                name, found->type_name, expected);
}

}  // namespace

bool ScalarTable::has(const std::string& column) const {
  return std::ranges::find(columns, column, &TableColumn::name) != columns.end();
}

std::size_t ScalarTable::position(const std::string& column) const {
  const auto found = std::ranges::find(columns, column, &TableColumn::name);
  if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  throw missing_column(file, column, columns);
}

bool ScalarTable::is_missing(std::size_t column, std::size_t row) const {
  const ColumnValues& of = values[column];
  return columns[column].type == ColumnType::text ? of.codes[row] < 0
                                                  : !of.present.empty() && of.present[row] == 0;
}

std::string ScalarTable::text(std::size_t column, std::size_t row) const {
  if (is_missing(column, row)) return "";
  const ColumnValues& of = values[column];
  if (columns[column].type == ColumnType::text)
    return columns[column].dictionary[static_cast<std::size_t>(of.codes[row])];
  if (columns[column].type == ColumnType::int64) return std::to_string(of.integers[row]);
  return is_short[column] ? fmt::format("{}", static_cast<float>(of.numbers[row]))
                          : fmt::format("{}", of.numbers[row]);
}

double ScalarTable::number(std::size_t column, std::size_t row) const {
  const ColumnValues& of = values[column];
  return columns[column].type == ColumnType::int64 ? static_cast<double>(of.integers[row])
                                                   : of.numbers[row];
}

ScalarTable read_scalar_table(const std::filesystem::path& file,
                              const std::function<bool(const std::string&)>& keep,
                              const std::function<bool(const ParquetReader::Column&)>& wanted) {
  const std::unique_ptr<ParquetReader> reader = parquet_library().make_reader(file);
  ScalarTable table;
  table.file = file;
  const auto is_text = [](ColumnType type) { return type == ColumnType::text; };
  const auto is_whole = [](ColumnType type) { return type == ColumnType::int64; };
  const auto is_number = [](ColumnType type) { return type != ColumnType::text; };
  require(table, *reader, "tag", is_text, "text");
  require(table, *reader, "step", is_whole, "whole numbers");
  require(table, *reader, "value", is_number, "numbers");

  std::vector<std::size_t> positions;  // in the file
  for (std::size_t i = 0; i < reader->columns().size(); ++i) {
    const ParquetReader::Column& column = reader->columns()[i];
    if (column.name != "tag" && column.name != "step" && column.name != "value" && !wanted(column))
      continue;
    if (!column.type)
      throw Error("{}: column '{}' is of type {}, expected numbers or text",
                  printable(file.string(), 300), printable(column.name, 80),
                  printable(column.type_name, 80));
    if (table.has(column.name))
      throw Error("{}: has two columns '{}'", printable(file.string(), 300),
                  printable(column.name, 80));
    positions.push_back(i);
    table.columns.push_back({column.name, *column.type, true, {}});
    table.is_short.push_back(column.type_name == "float");
  }
  table.pandas = reader->pandas();
  table.values.resize(positions.size());
  const std::size_t tag = positions[table.position("tag")];
  std::vector<std::vector<std::string>> dictionaries(reader->columns().size());
  std::vector<std::uint8_t> is_kept;  // by code of the tag
  for (std::size_t group = 0; group < reader->row_groups(); ++group) {
    const ColumnValues tags = reader->read(group, {tag}, dictionaries).front();
    for (std::size_t code = is_kept.size(); code < dictionaries[tag].size(); ++code)
      is_kept.push_back(keep(dictionaries[tag][code]) ? 1 : 0);
    std::vector<std::uint32_t> kept;
    for (std::size_t row = 0; row < tags.codes.size(); ++row)
      if (tags.codes[row] >= 0 && is_kept[static_cast<std::size_t>(tags.codes[row])] != 0)
        kept.push_back(static_cast<std::uint32_t>(row));
    if (kept.empty()) continue;
    for (std::size_t i = 0; i < positions.size(); ++i)
      append_kept(reader->read(group, {positions[i]}, dictionaries).front(), kept, table.rows,
                  table.values[i]);
    table.rows += kept.size();
  }
  for (std::size_t i = 0; i < positions.size(); ++i)
    table.columns[i].dictionary = std::move(dictionaries[positions[i]]);
  return table;
}

}  // namespace rankfold
