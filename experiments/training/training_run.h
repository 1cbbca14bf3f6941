#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "experiments/models/host.h"
#include "experiments/runs/fingerprint.h"
#include "experiments/training/checkpoint.h"
#include "experiments/training/run_data.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/run_log.h"
#include "experiments/training/schedule.h"
#include "experiments/training/trainer.h"
#include "experiments/training/training_session.h"
#include "experiments/training/training_state.h"
#include "experiments/training/zero_order_log.h"

namespace rankfold {

/// The user stopped the run: nothing is written about it.
class RunStopped : public Error {
 public:
  using Error::Error;
};

/// Training fell apart: there is no score to report.
class RunDiverged : public Error {
 public:
  RunDiverged(const std::string& what, std::size_t failed_step)
      : Error("diverged at step {}: {}", failed_step, what), step(failed_step) {}
  std::size_t step;
};

/// The zeroth-order steps that a checkpoint's state keeps. Throws Error where they have not so many
/// samples.
std::vector<ZeroOrderStep> logged_steps(const TrainingState& state, std::size_t samples);

/// One run: what it works with, and what it has found out so far, which goes into `result`. Called
/// in the order load, train, save.
class TrainingRun {
 public:
  TrainingRun(const Task& task, const Registry& registry, RunFolder& folder,
              const FinetuneOptions& options, RunResult& result)
      : task_(task),
        registry_(registry),
        method_(registry.at(result.settings.text("method"))),
        folder_(folder),
        options_(options),
        result_(result),
        settings_(result.settings),
        seed_(settings_.count("seed")),
        batch_(settings_.count("batch")),
        accumulate_(settings_.count("accumulate")),
        evaluate_every_(settings_.count("evaluate-every")),
        clip_(settings_.number("clip")) {}

  /// Reads and checks everything, and only then begins in the folder.
  void load();
  void train();
  /// Writes the adapter. Throws Error where the model was changed while it was in use.
  void save();

 private:
  /// Reads the rows and gives them to the host; then it says what it found.
  void load_rows(const Host& host, std::size_t max_length);
  void load_labelled(const Host& host, std::size_t max_length);
  void load_prompted(const Host& host, std::size_t max_length);
  /// Keeps what was read and tells what there is to know of it.
  template <class Rows, class Row>
  void note_rows(const Rows& dataset, const std::vector<Row>& scored);
  void tell(const std::vector<std::string>& notes);
  void plan_steps();
  std::optional<Checkpoint> find_checkpoint() const;
  void go_on_from(const Checkpoint& checkpoint);
  void train_epochs();
  void replay();
  void train_epoch();
  double take_step(const std::vector<std::vector<std::size_t>>& batches);
  void end_epoch();
  void check_loss(const char* name, double loss) const;
  void log_step(double rate, double norm, double epoch);
  void evaluate(bool after_epoch);
  void compare(const EvaluationResult& latest);
  void take_kept();
  void save_checkpoint_when_due();
  void save_checkpoint();
  /// Steps taken.
  std::size_t step() const { return session_ ? session_->steps() : 0; }
  bool is_over() const { return step() >= steps_ || result_.stopped_early; }
  bool keeps_best() const { return settings_.text("keep") == "best"; }
  bool keeps_checkpoints() const;
  bool caches_features() const { return settings_.text("cache-features") == "true"; }
  void keep_features();
  void count_parameters();
  std::string progress_line(const EvaluationResult& latest, bool after_epoch) const;
  void check_stop() const;

  const Task& task_;
  const Registry& registry_;
  const Method& method_;
  RunFolder& folder_;
  const FinetuneOptions& options_;
  RunResult& result_;
  const RunSettings& settings_;
  const std::uint64_t seed_;
  const std::size_t batch_, accumulate_, evaluate_every_;
  const double clip_;

  std::optional<ModelContent> content_;
  std::unique_ptr<RunData> data_;
  std::optional<TrainingSession> session_;
  std::optional<RunLog> log_;
  Schedule schedule_;
  std::size_t epochs_ = 0, steps_ = 0;  // of the whole run; the last epoch may be cut short
  RunPosition position_;
  TrainingState best_;  // the values that --keep best saves
  std::optional<ZeroOrderLog> zero_order_log_;
  Clock::time_point start_;  // of this process's first step
  std::size_t start_step_ = 0;
  Clock::time_point checkpoint_time_;
};

}  // namespace rankfold
