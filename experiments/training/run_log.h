#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "analysis/logs/event_log.h"
#include "experiments/runs/run_result.h"

namespace rankfold {

/// What a run writes to its TensorBoard event file, under the tags of Hugging Face's trainer.
/// Members throw Error naming the file where it cannot be written. A step is the number of steps
/// taken.
class RunLog {
 public:
  /// Begins with the settings that tell runs apart, for TensorBoard's HParams tab; of model its
  /// folder's name.
  RunLog(const std::filesystem::path& folder, const RunSettings& settings);

  /// The counts that collect needs to make results of event files alone.
  void parameters(const ParameterCounts& counts, std::size_t step);
  void scalar(const std::string& tag, double value, std::size_t step);
  /// What `scalar` was given so far: an event file that is begun anew is given it again.
  struct Entry {
    std::string tag;
    double value = 0;
    std::size_t step = 0;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  void scores(const std::map<std::string, double>& scores, std::size_t step);
  /// Whether every scored row got one answer, and the score of the largest class where the task has
  /// classes.
  void judgement(bool constant_predictions, std::optional<double> majority_score, std::size_t step);
  /// The run's end: what run.json tells of training as a whole. Where the evaluation that is kept
  /// is not the last, its scores stand again behind the last step, where those look who read the
  /// log alone.
  void finish(const RunResult& result, std::size_t step);
  /// The run's end where it diverged: its earlier scores may not pass for its result where only the
  /// log is read, and become NaN.
  void finish_diverged(const std::map<std::string, double>& earlier_scores, std::size_t step);

 private:
  EventWriter events_;
  std::vector<Entry> entries_;
};

/// Whether an event file is a RunLog's, or holds nothing yet. Throws Error naming a file that
/// cannot be read.
bool is_run_log(const std::filesystem::path& file);
/// Whether it is that of a run of these (canonical) settings, as far as it tells.
bool is_log_of(const std::filesystem::path& file, const RunSettings& settings);

}  // namespace rankfold
