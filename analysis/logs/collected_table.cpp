#include "analysis/logs/collected_table.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/machine.h"

namespace rankfold {
namespace {

using nlohmann::ordered_json;

// pyarrow's default.
constexpr std::size_t group_rows = std::size_t{1} << 20;

/// The document from which pandas makes its index, as pyarrow writes it.
std::string pandas_document(const std::vector<TableColumn>& columns,
                            const std::vector<std::string>& index) {
  ordered_json described = ordered_json::array();
  for (const TableColumn& column : columns) {
    const bool is_text = column.type == ColumnType::text;
    const char* number = column.type == ColumnType::int64 && !column.optional ? "int64" : "float64";
    described.push_back({{"name", column.name},
                         {"field_name", column.name},
                         {"pandas_type", is_text ? "unicode" : number},
                         {"numpy_type", is_text ? "object" : number},
                         {"metadata", nullptr}});
  }
  const ordered_json names = {{{"name", nullptr},
                               {"field_name", nullptr},
                               {"pandas_type", "unicode"},
                               {"numpy_type", "object"},
                               {"metadata", {{"encoding", "UTF-8"}}}}};
  const ordered_json document = {{"index_columns", index},
                                 {"column_indexes", names},
                                 {"columns", described},
                                 {"attributes", ordered_json::object()},
                                 {"creator", {{"library", "rankfold"}, {"version", version()}}},
                                 {"pandas_version", "2.2.0"}};
  return document.dump();
}

}  // namespace

CollectedTable::CollectedTable(const LogTree& tree, const std::vector<std::string>& index,
                               const std::vector<std::string>& tags,
                               const std::vector<std::uint32_t>& tag_places, int level,
                               AtomicFile& file)
    : tree_(tree), tag_places_(tag_places) {
  // The frame of LoTR: step, tag, value, then the folders; the index goes to the end.
  std::vector<std::string> all = {"tag", "step", "value"};
  for (const LogColumn& column : tree.columns) all.push_back(column.name);
  std::vector<std::string> names;
  for (const std::string& name : all)
    if (std::ranges::find(index, name) == index.end()) names.push_back(name);
  data_columns_ = names;
  names.insert(names.end(), index.begin(), index.end());
  std::vector<TableColumn> columns;
  for (const std::string& name : names) columns.push_back(add_column(name, tags));
  ParquetOptions options;
  options.level = level;
  options.fine_numbers = "value";
  options.pandas = pandas_document(columns, index);
  writer_ = parquet_library().make_writer(
      columns, options, [&file](const void* bytes, std::size_t size) { file.write(bytes, size); });
  rows_.reserve(group_rows);
}

CollectedTable::~CollectedTable() {
  if (writing_.valid()) writing_.wait();
}

void CollectedTable::add(std::span<const ScalarRow> rows) {
  while (!rows.empty()) {
    const std::size_t count = std::min(rows.size(), group_rows - rows_.size());
    rows_.insert(rows_.end(), rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(count));
    rows = rows.subspan(count);
    count_ += count;
    if (rows_.size() == group_rows) write();
  }
}

void CollectedTable::finish() {
  if (!rows_.empty()) write();
  if (writing_.valid()) writing_.get();
  writer_->finish();
}

TableColumn CollectedTable::add_column(const std::string& name,
                                       const std::vector<std::string>& tags) {
  TableColumn column;
  column.name = name;
  Source source;
  if (name == "tag") {
    source.kind = Source::tag;
    column.dictionary = tags;
  } else if (name == "step") {
    source.kind = Source::step;
    column.type = ColumnType::int64;
  } else if (name == "value") {
    source.kind = Source::value;
    column.type = ColumnType::float64;
  } else {
    const auto found = std::ranges::find(tree_.columns, name, &LogColumn::name);
    source.column = static_cast<std::size_t>(found - tree_.columns.begin());
    column.type = found->type;
    column.optional = found->optional;
    column.dictionary = found->texts;
  }
  sources_.push_back(source);
  return column;
}

ColumnValues CollectedTable::values(const Source& source,
                                    const std::vector<ScalarRow>& rows) const {
  ColumnValues values;
  const auto fill = [&](auto& target, const auto& read) {
    target.reserve(rows.size());
    for (const ScalarRow& row : rows) target.push_back(read(row));
  };
  if (source.kind == Source::tag)
    fill(values.codes,
         [&](const ScalarRow& row) { return static_cast<std::int32_t>(tag_places_[row.tag]); });
  if (source.kind == Source::step)
    fill(values.integers, [](const ScalarRow& row) { return row.step; });
  if (source.kind == Source::value)
    fill(values.numbers, [](const ScalarRow& row) { return row.value; });
  if (source.kind != Source::folder) return values;
  const LogColumn& column = tree_.columns[source.column];
  const auto place = [&](const ScalarRow& row) {
    return tree_.files[row.file].places[source.column];
  };
  const auto size = static_cast<std::uint32_t>(column.size());
  if (column.type == ColumnType::text) {
    fill(values.codes, [&](const ScalarRow& row) {
      return place(row) == size ? -1 : static_cast<std::int32_t>(place(row));
    });
    return values;
  }
  if (column.optional)
    fill(values.present, [&](const ScalarRow& row) { return std::uint8_t{place(row) != size}; });
  if (column.type == ColumnType::int64)
    fill(values.integers, [&](const ScalarRow& row) {
      return place(row) == size ? 0 : column.integers[place(row)];
    });
  else
    fill(values.numbers,
         [&](const ScalarRow& row) { return place(row) == size ? 0 : column.numbers[place(row)]; });
  return values;
}

void CollectedTable::write() {
  if (writing_.valid()) writing_.get();
  written_.swap(rows_);
  rows_.clear();
  writing_ = std::async(std::launch::async, [this] {
    std::vector<ColumnValues> columns;
    for (const Source& source : sources_) columns.push_back(values(source, written_));
    writer_->write(columns, written_.size());
  });
}

}  // namespace rankfold
