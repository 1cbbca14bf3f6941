#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rankfold {

enum class ColumnType { int64, float64, text };

/// A column of a table: its name, and what stands in it.
struct TableColumn {
  std::string name;
  ColumnType type = ColumnType::text;
  bool optional = false;                ///< values may be missing
  std::vector<std::string> dictionary;  ///< of text: UTF-8, no two alike
};

/// Some rows of a column; of its type one vector is filled.
struct ColumnValues {
  std::vector<std::int64_t> integers;
  std::vector<double> numbers;
  std::vector<std::int32_t> codes;    ///< of text: positions in the dictionary, -1 for missing
  std::vector<std::uint8_t> present;  ///< of numbers: 0 for missing; empty: none is
};

/// Writes a Parquet file, row group by row group; the same calls give the same bytes.
class ParquetWriter {
 public:
  virtual ~ParquetWriter() = default;
  /// One row group of `rows` rows, in the order of the columns.
  virtual void write(const std::vector<ColumnValues>& columns, std::size_t rows) = 0;
  /// Writes the end of the file. A file without it is none.
  virtual void finish() = 0;
};

struct ParquetOptions {
  int level = 9;             ///< of zstd, 1 to 22
  std::string pandas;        ///< the document under the key "pandas"; "": none
  std::string fine_numbers;  ///< a column of numbers most of which differ; "": none
};

/// Reads the flat columns of a Parquet file.
class ParquetReader {
 public:
  virtual ~ParquetReader() = default;
  struct Column {
    std::string name;
    /// What it is read as; text also for truth values, decimal numbers, dates and times. Nothing
    /// for what has no such text: lists, structures, bytes.
    std::optional<ColumnType> type;
    std::string type_name;
  };
  virtual const std::vector<Column>& columns() const = 0;
  /// The document under the key "pandas", which tells the index among others; "" for none.
  virtual const std::string& pandas() const = 0;
  virtual std::size_t row_groups() const = 0;
  /// Rows of a group: of every asked column its values. Text is coded by `dictionaries[column]`,
  /// which grows. Throws Error naming the file when it is damaged.
  virtual std::vector<ColumnValues> read(std::size_t group, const std::vector<std::size_t>& columns,
                                         std::vector<std::vector<std::string>>& dictionaries) = 0;
};

using ByteSink = std::function<void(const void* bytes, std::size_t size)>;

/// What librankfold_parquet offers: Apache Arrow takes milliseconds to load, so it is a library of
/// its own, loaded by those who read or write Parquet.
struct ParquetLibrary {
  const char* interface;   ///< parquet_interface of its build
  const char* arrow;       ///< "26.0.1"
  std::string (*where)();  ///< the file of Arrow's library
  std::unique_ptr<ParquetWriter> (*make_writer)(const std::vector<TableColumn>& columns,
                                                const ParquetOptions& options, ByteSink sink);
  std::unique_ptr<ParquetReader> (*make_reader)(const std::filesystem::path& file);
};
inline constexpr const char* parquet_interface = "2";

/// Loads the library: beside the program, in ../lib/rankfold from it, or in the folder above (test
/// and benchmark programs). Throws Error saying what is missing.
const ParquetLibrary& parquet_library();
/// Why Parquet cannot be read or written, "" where it can; loads the library.
std::string parquet_obstacle();

}  // namespace rankfold
