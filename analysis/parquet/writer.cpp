#include <exception>
#include <utility>

#include <arrow/api.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/column_writer.h>
#include <parquet/exception.h>
#include <parquet/file_writer.h>
#include <parquet/properties.h>
#include <parquet/schema.h>

#include "analysis/parquet/arrow_error.h"
#include "analysis/parquet/make.h"

namespace rankfold {
namespace {

/// Hands bytes on. An exception of the sink is kept, since Arrow's code expects a status.
class SinkStream : public arrow::io::OutputStream {
 public:
  explicit SinkStream(ByteSink sink) : sink_(std::move(sink)) {
    set_mode(arrow::io::FileMode::WRITE);
  }
  arrow::Status Write(const void* bytes, std::int64_t size) override {
    try {
      sink_(bytes, static_cast<std::size_t>(size));
    } catch (...) {
      failure = std::current_exception();
      return arrow::Status::IOError("not written");
    }
    position_ += size;
    return arrow::Status::OK();
  }
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  bool closed() const override { return closed_; }
  arrow::Result<std::int64_t> Tell() const override { return position_; }

  std::exception_ptr failure;

 private:
  ByteSink sink_;
  std::int64_t position_ = 0;
  bool closed_ = false;
};

parquet::schema::NodePtr schema_of(const std::vector<TableColumn>& columns) {
  using parquet::schema::PrimitiveNode;
  parquet::schema::NodeVector fields;
  for (const TableColumn& column : columns) {
    const auto repetition =
        column.optional ? parquet::Repetition::OPTIONAL : parquet::Repetition::REQUIRED;
    if (column.type == ColumnType::text)
      fields.push_back(PrimitiveNode::Make(column.name, repetition, parquet::LogicalType::String(),
                                           parquet::Type::BYTE_ARRAY));
    else
      fields.push_back(PrimitiveNode::Make(
          column.name, repetition,
          column.type == ColumnType::int64 ? parquet::Type::INT64 : parquet::Type::DOUBLE));
  }
  return parquet::schema::GroupNode::Make("schema", parquet::Repetition::REQUIRED, fields);
}

class ArrowWriter final : public ParquetWriter {
 public:
  ArrowWriter(const std::vector<TableColumn>& columns, const ParquetOptions& options, ByteSink sink)
      : columns_(columns), stream_(std::make_shared<SinkStream>(std::move(sink))) {
    parquet::WriterProperties::Builder properties;
    properties.memory_pool(pool_);
    properties.compression(parquet::Compression::ZSTD)->compression_level(options.level);
    if (!options.fine_numbers.empty())
      properties.disable_dictionary(options.fine_numbers)
          ->encoding(options.fine_numbers, parquet::Encoding::BYTE_STREAM_SPLIT);
    std::shared_ptr<arrow::KeyValueMetadata> metadata;
    if (!options.pandas.empty())
      metadata = arrow::KeyValueMetadata::Make({"pandas"}, {options.pandas});
    guarded([&] {
      writer_ = parquet::ParquetFileWriter::Open(
          stream_, std::static_pointer_cast<parquet::schema::GroupNode>(schema_of(columns)),
          properties.build(), metadata);
    });
  }
  ~ArrowWriter() override {
    // Without finish the file is given up, and its end need not be written.
    stream_->failure = nullptr;
    try {
      writer_.reset();
    } catch (...) {
    }
  }

  void write(const std::vector<ColumnValues>& values, std::size_t rows) override {
    guarded([&] {
      parquet::RowGroupWriter* group = writer_->AppendRowGroup();
      for (std::size_t i = 0; i < columns_.size(); ++i) {
        parquet::ColumnWriter* column = group->NextColumn();
        const auto count = static_cast<std::int64_t>(rows);
        if (columns_[i].type == ColumnType::int64)
          write_numbers<parquet::Int64Writer>(*column, values[i].integers, values[i].present,
                                              count);
        else if (columns_[i].type == ColumnType::float64)
          write_numbers<parquet::DoubleWriter>(*column, values[i].numbers, values[i].present,
                                               count);
        else
          write_text(*column, columns_[i], values[i].codes);
        column->Close();
      }
      group->Close();
    });
  }

  void finish() override {
    guarded([&] { writer_->Close(); });
  }

 private:
  template <class Work>
  void guarded(const Work& work) {
    try {
      work();
    } catch (const parquet::ParquetException& failure) {
      if (stream_->failure) std::rethrow_exception(std::exchange(stream_->failure, nullptr));
      throw Error("Parquet: {}", failure.what());
    }
  }

  template <class Writer, class Number>
  void write_numbers(parquet::ColumnWriter& column, const std::vector<Number>& numbers,
                     const std::vector<std::uint8_t>& present, std::int64_t rows) {
    auto& writer = static_cast<Writer&>(column);
    if (writer.descr()->max_definition_level() == 0) {
      writer.WriteBatch(rows, nullptr, nullptr, numbers.data());
      return;
    }
    std::vector<std::int16_t> levels(numbers.size(), 1);
    std::vector<Number> there;
    there.reserve(numbers.size());
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (!present.empty() && present[i] == 0)
        levels[i] = 0;
      else
        there.push_back(numbers[i]);
    }
    writer.WriteBatch(rows, levels.data(), nullptr, there.data());
  }

  /// As Arrow's array with a dictionary of what occurs, in the order of the column's: the codes are
  /// written as they are.
  void write_text(parquet::ColumnWriter& column, const TableColumn& about,
                  const std::vector<std::int32_t>& codes) {
    std::vector<std::int32_t> renamed(about.dictionary.size(), -1);
    for (const std::int32_t code : codes)
      if (code >= 0) renamed[static_cast<std::size_t>(code)] = 0;
    arrow::StringBuilder dictionary(pool_);
    std::int32_t used = 0;
    for (std::size_t i = 0; i < renamed.size(); ++i) {
      if (renamed[i] < 0) continue;
      renamed[i] = used++;
      check(dictionary.Append(about.dictionary[i]));
    }
    arrow::Int32Builder indices(pool_);
    check(indices.Reserve(static_cast<std::int64_t>(codes.size())));
    std::vector<std::int16_t> levels;
    if (column.descr()->max_definition_level() > 0) levels.assign(codes.size(), 1);
    for (std::size_t i = 0; i < codes.size(); ++i) {
      if (codes[i] >= 0) {
        indices.UnsafeAppend(renamed[static_cast<std::size_t>(codes[i])]);
      } else {
        indices.UnsafeAppendNull();
        levels[i] = 0;
      }
    }
    const auto array =
        take(arrow::DictionaryArray::FromArrays(take(indices.Finish()), take(dictionary.Finish())));
    parquet::ArrowWriteContext context(pool_, arrow_properties_.get());
    check(column.WriteArrow(levels.empty() ? nullptr : levels.data(), nullptr,
                            static_cast<std::int64_t>(codes.size()), *array, &context,
                            !levels.empty()));
  }

  // Arrow's default one takes whole huge pages, which small files pay for.
  arrow::MemoryPool* pool_ = arrow::system_memory_pool();
  std::vector<TableColumn> columns_;
  std::shared_ptr<SinkStream> stream_;
  std::shared_ptr<parquet::ArrowWriterProperties> arrow_properties_ =
      parquet::default_arrow_writer_properties();
  std::unique_ptr<parquet::ParquetFileWriter> writer_;
};

}  // namespace

std::unique_ptr<ParquetWriter> make_parquet_writer(const std::vector<TableColumn>& columns,
                                                   const ParquetOptions& options, ByteSink sink) {
  return std::make_unique<ArrowWriter>(columns, options, std::move(sink));
}

}  // namespace rankfold
