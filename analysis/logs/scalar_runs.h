#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

namespace rankfold {

/// A scalar of an event file, file and tag by number.
struct ScalarRow {
  std::int64_t step = 0;
  double value = 0;
  std::uint32_t tag = 0, file = 0;
};

/// What rows are sorted by: `before` of the file, then tag and step (or step and tag), with
/// `between` of the file between them, then `behind` of the file.
struct RowOrder {
  std::vector<std::uint32_t> before, between, behind;  ///< by file
  std::vector<std::uint32_t> tag_places;               ///< by tag; all 0 where it does not matter
  bool by_step = true;
  bool tag_first = true;

  struct Key {
    std::int64_t first, second;
    std::uint32_t before, between, behind;
  };
  Key key(const ScalarRow& row) const;
  static bool less(const Key& left, const Key& right);
};

/// Sorted rows, in memory or in the store's file.
struct SortedRun {
  std::uint64_t order = 0;  ///< equal rows keep the order of their runs
  std::uint64_t count = 0;
  std::vector<ScalarRow> rows;  ///< all of them, or none
  std::uint64_t offset = 0;     ///< in the file, in rows
};

/// Keeps sorted runs: in memory up to a number of rows, beyond it in a file without a name, which
/// is gone with the process. For use by several threads.
class RunStore {
 public:
  /// The file, once it is needed, lies in `folder`.
  RunStore(std::filesystem::path folder, std::uint64_t rows_in_memory)
      : folder_(std::move(folder)), room_(rows_in_memory) {}
  ~RunStore();
  RunStore(const RunStore&) = delete;
  RunStore& operator=(const RunStore&) = delete;

  // These throw Error naming the folder when the file cannot be made, written or read.
  SortedRun keep(std::uint64_t order, std::span<const ScalarRow> rows);
  /// A place in the file for so many rows; then its rows, piece by piece.
  std::uint64_t reserve(std::uint64_t rows);
  void write(std::uint64_t offset, std::span<const ScalarRow> rows) const;
  /// Rows of a run from its `first` on into `rows`.
  void read(const SortedRun& run, std::uint64_t first, std::span<ScalarRow> rows) const;

 private:
  void open();

  std::filesystem::path folder_;
  std::mutex mutex_;
  std::uint64_t room_;
  std::uint64_t end_ = 0;  // of the file, in rows
  int descriptor_ = -1;
};

/// Merges runs into one order, stably, and hands the rows on in pieces. At most `fan_in` runs are
/// merged at a time; where there are more, longer runs are made first. Takes some megabytes.
void merge_runs(std::vector<SortedRun> runs, const RowOrder& order, RunStore& store,
                std::size_t fan_in, const std::function<void(std::span<const ScalarRow>)>& emit);

}  // namespace rankfold
