#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace rankfold {

/// One result: a trained run with a score, or (without a score) a count of parameters.
struct ResultRow {
  std::string task;  ///< "" for a count
  std::string model, method;
  std::string rank;  ///< "8", "8x8x4" (one per mode), "" for none
  std::string seed;
  std::string layers;                     ///< all, first:N, last:N, 0,2,5-7; "" where not told
  std::int64_t parameters = 0;            ///< of the adapter
  std::optional<std::int64_t> trainable;  ///< adapter and head
  std::string metric;                     ///< "" for a count
  std::optional<double> score;  ///< a fraction: accuracy 0.9, not 90; NaN where a run diverged
  bool constant_predictions = false;       ///< every scored row was given one class (or one number)
  std::optional<double> majority_score;    ///< of the largest class given to every row
  std::optional<std::int64_t> train_rows;  ///< where only the first rows were trained on
  std::optional<std::int64_t> adapted_layers;
  std::optional<double> train_seconds, tokens_per_second, peak_memory_mib;
  /// Others that tell runs apart (targets, lr, ...), in the form of setting_form.
  std::map<std::string, std::string> settings;
  std::string scored_rows;  ///< fingerprint of the rows that were scored; "": not known
  std::string origin;       ///< file:line or file, for messages
  std::string model_path;   ///< of a run.json; "" in tables
};

/// Results, and what there is to tell of their reading: files that were passed over, runs that were
/// left out or counted once, a line each.
struct Results {
  std::vector<ResultRow> rows;
  std::vector<std::string> notes;
};

/// A setting that has a member of ResultRow of its own.
struct RowSetting {
  std::string name;
  std::string ResultRow::*text;  ///< null for max-train, which is `train_rows`
};
/// task, model, method, rank, seed, layers and max-train: all others lie in ResultRow::settings.
const std::vector<RowSetting>& row_settings();
bool is_row_setting(const std::string& name);

/// A setting of the row, of its own members or of the others, in the form of setting_form (names
/// and the rank as they are); nothing where it has none of that name.
std::optional<std::string> row_setting(const ResultRow& row, const std::string& name);
std::string row_setting(const ResultRow& row, const RowSetting& own);

/// Adds to `notes` how many runs of each status the results of `source` do without.
void note_left_out(const std::filesystem::path& source,
                   const std::map<std::string, std::size_t>& by_status,
                   std::vector<std::string>& notes);

/// The metric that stands for a task, out of those that were measured: matthews_correlation for
/// cola, accuracy for the other classifications, pearson for stsb; where that is missing the first
/// measured of matthews_correlation, accuracy, pearson, f1, spearman, then by name.
std::string main_metric(const std::string& task, const std::vector<std::string>& measured);

/// Number of adapted layers: `adapted_layers` where given, else what `layers` says by itself
/// (first:2, last:2, 0,2,5-7); none for "all" and "".
std::optional<std::int64_t> adapted_layer_count(const ResultRow& row);

/// A whole number, 0 or more, that other programs may have written as 73728.0; nothing else.
std::optional<std::int64_t> parse_count(const std::string& text);

/// A rank as it is compared and shown: "8" for "8" and "8.0", "8x8x4", "" for none ("", "none",
/// "-"); nothing where the text is no rank.
std::optional<std::string> normal_rank(const std::string& text);

/// Whether the metric can have this value: those that rankfold measures lie in [-1, 1], so a score
/// in percent is found out.
bool score_is_possible(const std::string& metric, double score);

/// Where a rank stands on an axis: the number itself; the geometric mean for one per mode; none
/// for "".
std::optional<double> rank_position(const std::string& rank);

}  // namespace rankfold
