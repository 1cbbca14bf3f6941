#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "experiments/runs/parquet.h"

namespace rankfold {

/// Scalars out of a Parquet file such as collect writes, column by column.
struct ScalarTable {
  std::filesystem::path file;
  std::vector<TableColumn> columns;
  std::vector<ColumnValues> values;  ///< by column
  std::vector<bool> is_short;        ///< by column: of float32, whose text has fewer digits
  std::size_t rows = 0;
  std::string pandas;  ///< see ParquetReader

  bool has(const std::string& column) const;
  /// Throws Error naming the file, the column and those that are there.
  std::size_t position(const std::string& column) const;
  bool is_missing(std::size_t column, std::size_t row) const;
  /// As text: 8, 0.0005 or the text itself; "" where it is missing.
  std::string text(std::size_t column, std::size_t row) const;
  double number(std::size_t column, std::size_t row) const;
};

/// Reads the rows whose tag is kept, one row group after another, and of the columns tag, step,
/// value and those that are `wanted`. Throws Error naming a wanted column that is neither numbers
/// nor text, with its type, and one that is there twice; the file where it is no Parquet file, is
/// damaged or truncated, or lacks one of the columns tag (text), step (whole numbers) and value
/// (numbers), or this build lacks Parquet.
ScalarTable read_scalar_table(const std::filesystem::path& file,
                              const std::function<bool(const std::string& tag)>& keep,
                              const std::function<bool(const ParquetReader::Column&)>& wanted);

}  // namespace rankfold
