#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace rankfold {

/// Tags that are kept by default, as a beginning of the tag: LoTR's, and the counts that our runs
/// log.
inline constexpr const char* default_tags =
    "(eval|train)/(accuracy|epoch|f1|learning_rate|loss|matthews_correlation|pearson|spearmanr|"
    "train_loss)|parameters/(adapter|trainable)|scored/(constant_predictions|majority_score)";

struct CollectRequest {
  std::vector<std::filesystem::path> logs;  ///< folders with event files below them
  std::filesystem::path out;
  std::vector<std::string> names;    ///< of the folders without a name, from the root on
  std::vector<std::string> index;    ///< empty: all but value; tag, step and then seed come last
  std::string tags = default_tags;   ///< Python's regular expression; the tag's beginning
  std::optional<std::size_t> depth;  ///< only files below so many folders without a name
  bool any_depth = false;            ///< below any number: shorter paths lack the last columns
  bool keep_restarted = false;       ///< also scalars that a restart voids (log_restarts.h)
  int level = 9;                     ///< of zstd, 1 to 22
  /// Rows that are sorted in memory, 24 bytes each; more go through a file beside `out`.
  std::uint64_t rows_in_memory = std::uint64_t{1} << 22;
  std::size_t fan_in = 4096;  ///< sorted runs that are merged at once
  std::size_t threads = 0;    ///< 0: as many as processors, 8 at most
  std::function<bool()> stop_requested;
  std::function<void(std::size_t done, std::size_t files)> progress;  ///< by the calling thread
};

struct CollectReport {
  std::size_t files = 0;
  std::uint64_t rows = 0;
  std::vector<std::string> columns;  ///< value and others that are not in the index
  std::vector<std::string> index;
  struct Problem {
    std::filesystem::path file;
    std::string text;  ///< "ends inside a record, at byte 120", "damaged record at byte ..."
  };
  std::vector<Problem> problems;  ///< files of which the rows before that place were kept
  std::vector<Problem> repeated;  ///< files whose steps go back without a mark; all rows were kept
  std::vector<Problem> restarts;  ///< files and what was left out of them (log_restarts.h)
  /// Files without a scalar that is kept, or at other depths than the one asked for.
  std::vector<Problem> passed_over;
  /// What could not be read, and folders of one name whose scalars stand together; a line each.
  std::vector<std::string> notes;
};

/// Writes the scalars of a tree of event files as one Parquet file, sorted by the index, as LoTR's
/// tb2parquet does: columns from the folders (see read_log_tree), tag, step and value; metadata
/// from which pandas makes its index. Files without a scalar that is kept are passed over, and so
/// is what cannot be read. Restarts are read as TensorBoard reads them. Row group by row group; the
/// same tree gives the same bytes, and the memory does not grow with it. `out` is written under a
/// temporary name and renamed.
///
/// Throws UsageError for a wrong name, index, pattern or level, Error for an `out` that is another
/// file than a Parquet file, where a file cannot be read or written, no scalar has such a tag, or
/// this build lacks Parquet.
CollectReport collect(const CollectRequest& request);

}  // namespace rankfold
