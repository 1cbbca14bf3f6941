#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/fit/update_file.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {

/// The files of a sweep of fits, each opened once.
class UpdateFiles {
 public:
  /// Throws Error and UsageError as UpdateFile does.
  UpdateFiles(const std::vector<std::string>& inputs, const std::string& minus, std::size_t heads);

  const UpdateFile& at(const std::string& input) const { return *files_.at(input); }
  /// "updates" for runs/updates.npy; the whole path where another file has the same name.
  const std::string& name(const std::string& input) const { return names_.at(input); }
  /// A hash of all that is in the file, and in the one that is subtracted.
  const std::string& content(const std::string& input) const;

 private:
  std::string minus_;
  mutable std::map<std::string, std::string> contents_;  // of those that were asked for
  std::map<std::string, std::unique_ptr<UpdateFile>> files_;
  std::map<std::string, std::string> names_;
};

/// The rank that choose_rank (core/adapter/rank_budget.h) finds for the matrices of the run's file;
/// nothing where the smallest has more parameters.
std::optional<std::string> fit_rank_within_budget(const Method& method, const PlannedRun& run,
                                                  std::size_t budget, const UpdateFiles& files);

struct FitRow {
  PlannedRun run;
  std::string model;    ///< UpdateFiles::name
  std::string failure;  ///< "" where the fit is done
  std::size_t parameters = 0, starts = 0, sweeps = 0, threads = 0;
  double relative_error = 0, seconds = 0;
};

/// Throws UsageError or Error naming the run where a method, its settings or the file's shapes do
/// not go together. Reads no matrix.
void check_fits(const std::vector<PlannedRun>& runs, const Registry& registry,
                const UpdateFiles& files);

class FitJournal;

/// The fits that are in the journal already, as rows; nothing where there is none.
std::vector<std::optional<FitRow>> kept_fits(const Sweep& sweep,
                                             const std::vector<PlannedRun>& runs,
                                             const UpdateFiles& files, const FitJournal& journal);

/// The fits that `rows` lacks, in order, in this process, each added to the journal and the rows as
/// soon as it is finished; one that fails is a row with its reason. `ended` hears of each. Sets the
/// number of threads.
void fit_missing(const Sweep& sweep, const std::vector<PlannedRun>& runs, const Registry& registry,
                 const UpdateFiles& files, FitJournal& journal,
                 std::vector<std::optional<FitRow>>& rows,
                 const std::function<void(const FitRow&)>& ended = {});

/// fits.csv: task (fit), model (the file's name), method, rank, seed, then those of alpha, preset
/// and <method>.<option> that the sweep names, parameters, metric (relative_error), score, seconds,
/// starts, sweeps, threads, status (done or failed). Of the fits that there are.
std::string fits_csv(const std::vector<std::optional<FitRow>>& rows);

}  // namespace rankfold
