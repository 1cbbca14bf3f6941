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
  switch (type.id()) {
    case arrow::Type::INT8:
    case arrow::Type::INT16:
    case arrow::Type::INT32:
    case arrow::Type::INT64:
    case arrow::Type::UINT8:
    case arrow::Type::UINT16:
    case arrow::Type::UINT32:
    case arrow::Type::BOOL:
      return ColumnType::int64;
    case arrow::Type::FLOAT:
    case arrow::Type::DOUBLE:
      return ColumnType::float64;
    case arrow::Type::STRING:
    case arrow::Type::LARGE_STRING:
      return ColumnType::text;
    case arrow::Type::DICTIONARY:
      return type_of(*static_cast<const arrow::DictionaryType&>(type).value_type());
    default:
      return std::nullopt;
  }
}

/// Appends the numbers of an array of any width.
template <class Array, class Number>
void append_numbers(const arrow::Array& array, std::vector<Number>& numbers) {
  const auto& typed = static_cast<const Array&>(array);
  for (std::int64_t i = 0; i < typed.length(); ++i)
    numbers.push_back(typed.IsNull(i) ? Number{} : static_cast<Number>(typed.Value(i)));
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
    case arrow::Type::BOOL:
      return append_numbers<arrow::BooleanArray>(array, values.integers);
    case arrow::Type::FLOAT:
      return append_numbers<arrow::FloatArray>(array, values.numbers);
    case arrow::Type::DOUBLE:
      return append_numbers<arrow::DoubleArray>(array, values.numbers);
    default:
      throw Error("found a column of type {}, expected numbers or text", array.type()->ToString());
  }
}

template <class Array>
std::vector<std::string> texts_of(const arrow::Array& array) {
  const auto& typed = static_cast<const Array&>(array);
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < typed.length(); ++i)
    texts.emplace_back(typed.IsNull(i) ? std::string_view() : typed.GetView(i));
  return texts;
}

std::vector<std::string> texts_of_any(const arrow::Array& array) {
  return array.type_id() == arrow::Type::LARGE_STRING ? texts_of<arrow::LargeStringArray>(array)
                                                      : texts_of<arrow::StringArray>(array);
}

class ArrowReader final : public ParquetReader {
 public:
  explicit ArrowReader(const std::filesystem::path& file) : file_(file) {
    guarded([&] {
      parquet::arrow::FileReaderBuilder builder;
      check(builder.Open(take(arrow::io::ReadableFile::Open(file.string()))));
      parquet::ArrowReaderProperties properties;
      const parquet::SchemaDescriptor& schema = *builder.raw_reader()->metadata()->schema();
      for (int i = 0; i < schema.num_columns(); ++i)
        if (schema.Column(i)->physical_type() == parquet::Type::BYTE_ARRAY)
          properties.set_read_dictionary(i, true);
      builder.properties(properties);
      reader_ = take(builder.Build());
      std::shared_ptr<arrow::Schema> fields;
      check(reader_->GetSchema(&fields));
      if (fields->num_fields() != schema.num_columns())
        throw Error("found nested columns, expected flat ones");
      for (const auto& field : fields->fields())
        columns_.push_back({field->name(), type_of(*field->type()), field->type()->ToString()});
      codes_.resize(columns_.size());
    });
  }

  const std::vector<Column>& columns() const override { return columns_; }
  std::size_t row_groups() const override {
    return static_cast<std::size_t>(reader_->num_row_groups());
  }

  std::vector<ColumnValues> read(std::size_t group, const std::vector<std::size_t>& columns,
                                 std::vector<std::vector<std::string>>& dictionaries) override {
    std::vector<ColumnValues> all;
    guarded([&] {
      const std::vector<int> indices(columns.begin(), columns.end());
      const auto table = take(reader_->ReadRowGroup(static_cast<int>(group), indices));
      dictionaries.resize(columns_.size());
      const auto group_rows = static_cast<std::size_t>(
          reader_->parquet_reader()->metadata()->RowGroup(static_cast<int>(group))->num_rows());
      for (std::size_t i = 0; i < columns.size(); ++i) {
        const std::size_t column = columns[i];
        if (!columns_[column].type)
          throw Error("column '{}' is of type {}, expected numbers or text", columns_[column].name,
                      columns_[column].type_name);
        ColumnValues values;
        for (const auto& chunk : table->column(static_cast<int>(i))->chunks())
          append(*chunk, *columns_[column].type, codes_[column], dictionaries[column], values);
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
    std::vector<std::string> texts;
    const arrow::Array* indices = nullptr;
    if (array.type_id() == arrow::Type::DICTIONARY) {
      const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
      texts = texts_of_any(*coded.dictionary());
      indices = coded.indices().get();
      if (indices->type_id() != arrow::Type::INT32)
        throw Error("found codes of type {}, expected int32", indices->type()->ToString());
    } else {
      texts = texts_of_any(array);
    }
    std::vector<std::int32_t> renamed;
    renamed.reserve(texts.size());
    for (const std::string& text : texts) {
      const auto [found, is_new] =
          codes.emplace(text, static_cast<std::int32_t>(dictionary.size()));
      if (is_new) dictionary.push_back(text);
      renamed.push_back(found->second);
    }
    const std::int32_t* raw =
        indices ? static_cast<const arrow::Int32Array*>(indices)->raw_values() : nullptr;
    for (std::int64_t i = 0; i < array.length(); ++i) {
      if (array.IsNull(i))
        values.codes.push_back(-1);
      else
        values.codes.push_back(renamed.at(static_cast<std::size_t>(raw ? raw[i] : i)));
    }
  }

  std::filesystem::path file_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::vector<Column> columns_;
  std::vector<Codes> codes_;
};

}  // namespace

std::unique_ptr<ParquetReader> make_parquet_reader(const std::filesystem::path& file) {
  return std::make_unique<ArrowReader>(file);
}

}  // namespace rankfold
