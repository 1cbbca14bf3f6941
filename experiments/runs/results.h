#pragma once

#include <filesystem>

#include "experiments/runs/result_row.h"

namespace rankfold {

/// Reads results from a CSV file, a Parquet file of scalars (by its first bytes) or, given a
/// folder, from every `run.json` below it (linked folders once each; what cannot be read is passed
/// over).
///
/// CSV of results: columns task, model, method, rank, seed, parameters, metric, score; read where
/// present: layers, trainable, train_rows or max-train, adapted_layers, status, train_seconds,
/// tokens_per_second, peak_memory_mib, constant_predictions, majority_score. **Every other column
/// is a setting** that tells runs apart, but for what is_bookkeeping knows (setting_rules.h). A
/// score may be nan, inf or -inf; one that is missing (empty, None, NA, ...) is that of a run that
/// diverged. CSV of counts (no column score): model, method, rank, adapter or parameters; every
/// further column that is not a result is a setting. Rows and runs with status diverged have the
/// score NaN, whatever else they tell; those with another status than done are left out. Of several
/// scores of a task only its main one is kept (see main_metric).
///
/// Parquet as collect writes it, columns task, model and method among others: a run is what rows
/// with the same values in all columns but tag, step and value tell, pandas' row numbers and
/// is_bookkeeping aside; its score is the last value of its main metric (tag eval/<metric>), its
/// parameters a column or the tag parameters/adapter. A last value that is missing (null) or not
/// finite is that of a run that diverged. Runs without a score are left out.
///
/// Throws Error naming file and line (or key), what was found and what was expected. The rows are
/// as they stand there: settle_runs (run_identity.h) makes them comparable.
Results read_results(const std::filesystem::path& file_or_folder);
Results read_results_csv(const std::filesystem::path& file);
Results read_results_parquet(const std::filesystem::path& file);
Results read_results_folder(const std::filesystem::path& folder);

}  // namespace rankfold
