#pragma once

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "analysis/logs/log_tree.h"
#include "analysis/logs/scalar_runs.h"
#include "core/base/files.h"
#include "experiments/runs/parquet.h"

namespace rankfold {

/// The Parquet file that collected scalars become: tag, step, value and the columns of their
/// folders, those of the index last, with the metadata from which pandas makes its index. Rows come
/// in the order that they are to have; a row group is written while the next is filled.
class CollectedTable {
 public:
  /// `tags` are in alphabetical order, `tag_places` say where a row's tag stands among them. The
  /// arguments but `index` and `tags` must outlive the table. `level` of zstd. Throws Error as
  /// parquet_library does.
  CollectedTable(const LogTree& tree, const std::vector<std::string>& index,
                 const std::vector<std::string>& tags, const std::vector<std::uint32_t>& tag_places,
                 int level, AtomicFile& file);
  /// Waits for a row group that is being written.
  ~CollectedTable();
  CollectedTable(const CollectedTable&) = delete;
  CollectedTable& operator=(const CollectedTable&) = delete;

  // Both throw Error where the file cannot be written.
  void add(std::span<const ScalarRow> rows);
  void finish();

  std::uint64_t rows() const { return count_; }
  /// Those that are not in the index.
  const std::vector<std::string>& data_columns() const { return data_columns_; }

 private:
  /// Where a column's values come from: a column of the folders, or a member of the row.
  struct Source {
    enum { folder, tag, step, value } kind = folder;
    std::size_t column = 0;
  };

  TableColumn add_column(const std::string& name, const std::vector<std::string>& tags);
  ColumnValues values(const Source& source, const std::vector<ScalarRow>& rows) const;
  void write();

  const LogTree& tree_;
  const std::vector<std::uint32_t>& tag_places_;
  std::vector<std::string> data_columns_;
  std::vector<Source> sources_;
  std::unique_ptr<ParquetWriter> writer_;
  std::vector<ScalarRow> rows_, written_;
  std::uint64_t count_ = 0;
  std::future<void> writing_;
};

}  // namespace rankfold
