#include <algorithm>
#include <unordered_map>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>

#include "analysis/parquet/arrow_error.h"
#include "analysis/parquet/make.h"

namespace rankfold {
namespace {

using Codes = std::unordered_map<std::string, std::int32_t>;

std::optional<ColumnType> type_of(const arrow::DataType& type) {
  using arrow::Type;
  switch (type.id()) {
    case Type::INT8:
    case Type::INT16:
    case Type::INT32:
    case Type::INT64:
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
      return ColumnType::int64;
    case Type::FLOAT:
    case Type::DOUBLE:
      return ColumnType::float64;
    case Type::DICTIONARY: {
      const auto& values = static_cast<const arrow::DictionaryType&>(type).value_type();
      return type_of(*values) ? std::optional(ColumnType::text) : std::nullopt;
    }
    case Type::NA:
    case Type::BOOL:
    case Type::STRING:
    case Type::LARGE_STRING:
    case Type::HALF_FLOAT:
    case Type::DECIMAL32:
    case Type::DECIMAL64:
    case Type::DECIMAL128:
    case Type::DECIMAL256:
    case Type::DATE32:
    case Type::DATE64:
    case Type::TIME32:
    case Type::TIME64:
    case Type::TIMESTAMP:
    case Type::DURATION:
      return ColumnType::text;
    default:
      return std::nullopt;
  }
}

/// Appends the numbers of an array of any width.
template <class Array, class Number>
void append_numbers(const arrow::Array& array, std::vector<Number>& numbers) {
  const auto& typed = static_cast<const Array&>(array);
  for (std::int64_t i = 0; i < typed.length(); ++i) {
    if (std::is_same_v<Array, arrow::UInt64Array> && typed.IsValid(i) &&
        static_cast<std::uint64_t>(typed.Value(i)) > std::uint64_t{INT64_MAX})
      throw Error("found {} in a column of type uint64, expected at most {}", typed.Value(i),
                  INT64_MAX);
    numbers.push_back(typed.IsNull(i) ? Number{} : static_cast<Number>(typed.Value(i)));
  }
}

void append_array(const arrow::Array& array, ColumnValues& values) {
  switch (array.type_id()) {
    case arrow::Type::INT8:
      return append_numbers<arrow::Int8Array>(array, values.integers);
    case arrow::Type::INT16:
      return append_numbers<arrow::Int16Array>(array, values.integers);
    case arrow::Type::INT32:
      return append_numbers<arrow::Int32Array>(array, values.integers);
    case arrow::Type::INT64:
      return append_numbers<arrow::Int64Array>(array, values.integers);
    case arrow::Type::UINT8:
      return append_numbers<arrow::UInt8Array>(array, values.integers);
    case arrow::Type::UINT16:
      return append_numbers<arrow::UInt16Array>(array, values.integers);
    case arrow::Type::UINT32:
      return append_numbers<arrow::UInt32Array>(array, values.integers);
    case arrow::Type::UINT64:
      return append_numbers<arrow::UInt64Array>(array, values.integers);
    case arrow::Type::FLOAT:
      return append_numbers<arrow::FloatArray>(array, values.numbers);
    case arrow::Type::DOUBLE:
      return append_numbers<arrow::DoubleArray>(array, values.numbers);
    default:
      throw Error("found a column of type {}, expected numbers or text", array.type()->ToString());
  }
}

std::string text_at(const arrow::Array& array, std::int64_t i) {
  if (array.type_id() == arrow::Type::STRING)
    return static_cast<const arrow::StringArray&>(array).GetString(i);
  if (array.type_id() == arrow::Type::LARGE_STRING)
    return static_cast<const arrow::LargeStringArray&>(array).GetString(i);
  return take(array.GetScalar(i))->ToString();
}

class ArrowReader final : public ParquetReader {
 public:
  explicit ArrowReader(const std::filesystem::path& file) : file_(file) {
    guarded([&] {
      parquet::arrow::FileReaderBuilder builder;
      check(builder.Open(take(arrow::io::ReadableFile::Open(file.string()))));
      parquet::ArrowReaderProperties properties;
      const std::shared_ptr<parquet::FileMetaData> metadata = builder.raw_reader()->metadata();
      const parquet::SchemaDescriptor& schema = *metadata->schema();
      for (int i = 0; i < schema.num_columns(); ++i)
        if (schema.Column(i)->logical_type()->is_string()) properties.set_read_dictionary(i, true);
      builder.properties(properties);
      reader_ = take(builder.Build());
      for (const parquet::arrow::SchemaField& field : reader_->manifest().schema_fields) {
        const auto type = field.is_leaf() ? type_of(*field.field->type()) : std::nullopt;
        columns_.push_back({field.field->name(), type, field.field->type()->ToString()});
        leaves_.push_back(field.column_index);
      }
      const auto& pairs = metadata->key_value_metadata();
      if (pairs != nullptr && pairs->Contains("pandas")) pandas_ = take(pairs->Get("pandas"));
      codes_.resize(columns_.size());
    });
  }

  const std::vector<Column>& columns() const override { return columns_; }
  const std::string& pandas() const override { return pandas_; }
  std::size_t row_groups() const override {
    return static_cast<std::size_t>(reader_->num_row_groups());
  }

  std::vector<ColumnValues> read(std::size_t group, const std::vector<std::size_t>& columns,
                                 std::vector<std::vector<std::string>>& dictionaries) override {
    std::vector<ColumnValues> all;
    guarded([&] {
      for (const std::size_t column : columns)
        if (!columns_[column].type)
          throw Error("column '{}' is of type {}, expected numbers or text", columns_[column].name,
                      columns_[column].type_name);
      std::vector<int> indices;
      for (const std::size_t column : columns) indices.push_back(leaves_[column]);
      const auto table = take(reader_->ReadRowGroup(static_cast<int>(group), indices));
      dictionaries.resize(columns_.size());
      const auto group_rows = static_cast<std::size_t>(
          reader_->parquet_reader()->metadata()->RowGroup(static_cast<int>(group))->num_rows());
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::size_t column = columns[i];
        ColumnValues values;
        try {
          for (const auto& chunk : table->column(static_cast<int>(i))->chunks())
            append(*chunk, *columns_[column].type, codes_[column], dictionaries[column], values);
        } catch (const Error& failure) {
          throw Error("column '{}': {}", columns_[column].name, failure.what());
        }
        const std::size_t rows =
            std::max({values.integers.size(), values.numbers.size(), values.codes.size()});
        if (rows != group_rows)
          throw Error("column '{}' has {} rows, expected {}", columns_[column].name, rows,
                      group_rows);
        all.push_back(std::move(values));
      }
    });
    return all;
  }

 private:
  template <class Work>
  void guarded(const Work& work) const {
    try {
      work();
    } catch (const std::exception& failure) {
      throw Error("{}: cannot be read as Parquet: {}", file_.string(), failure.what());
    }
  }

  static void append(const arrow::Array& array, ColumnType type, Codes& codes,
                     std::vector<std::string>& dictionary, ColumnValues& values) {
    if (type == ColumnType::text) return append_text(array, codes, dictionary, values);
    const std::size_t before = std::max(values.integers.size(), values.numbers.size());
    append_array(array, values);
    if (array.null_count() == 0 && values.present.empty()) return;
    values.present.resize(before, 1);
    for (std::int64_t i = 0; i < array.length(); ++i) values.present.push_back(array.IsValid(i));
  }

  /// The file's codes by pieces become those of the whole column.
  static void append_text(const arrow::Array& array, Codes& codes,
                          std::vector<std::string>& dictionary, ColumnValues& values) {
    const auto code_of = [&](const arrow::Array& texts, std::int64_t i) {
      if (texts.IsNull(i)) return -1;
      const auto [found, is_new] =
          codes.emplace(text_at(texts, i), static_cast<std::int32_t>(dictionary.size()));
      if (is_new) dictionary.push_back(found->first);
      return found->second;
    };
    if (array.type_id() != arrow::Type::DICTIONARY) {
      for (std::int64_t i = 0; i < array.length(); ++i) values.codes.push_back(code_of(array, i));
      return;
    }
    const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
    const arrow::Array& texts = *coded.dictionary();
    std::vector<std::int32_t> renamed;
    renamed.reserve(static_cast<std::size_t>(texts.length()));
    for (std::int64_t i = 0; i < texts.length(); ++i) renamed.push_back(code_of(texts, i));
    for (std::int64_t i = 0; i < array.length(); ++i)
      values.codes.push_back(
          array.IsNull(i) ? -1 : renamed.at(static_cast<std::size_t>(coded.GetValueIndex(i))));
  }

  std::filesystem::path file_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::vector<Column> columns_;
  std::vector<int> leaves_;  // by column: its place among the file's flat ones
  std::string pandas_;
  std::vector<Codes> codes_;
};

}  // namespace

std::unique_ptr<ParquetReader> make_parquet_reader(const std::filesystem::path& file) {
  return std::make_unique<ArrowReader>(file);
}

}  // namespace rankfold
