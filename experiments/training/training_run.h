#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "experiments/models/host.h"
#include "experiments/runs/fingerprint.h"
#include "experiments/training/feature_cache.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/run_log.h"
#include "experiments/training/schedule.h"
#include "experiments/training/trainer.h"
#include "experiments/training/training_session.h"

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
        epochs_(settings_.count("epochs")),
        clip_(settings_.number("clip")) {}

  /// Reads and checks everything, and only then begins in the folder.
  void load();
  void train();
  /// Writes the adapter. Throws Error where the model was changed while it was in use.
  void save();

 private:
  void train_epoch(std::size_t epoch);
  double take_step(const Batch& batch, double epoch);
  void check_loss(const char* name, double loss) const;
  void log_step(double rate, double norm, double epoch);
  void evaluate(EpochResult& epoch);
  /// Steps taken.
  std::size_t step() const { return session_ ? session_->steps() : 0; }
  bool caches_features() const { return settings_.text("cache-features") == "true"; }
  void open_feature_caches();
  void count_parameters();
  void train_epochs();
  std::string progress_line(const EpochResult& epoch) const;
  void check_stop() const;

  const Task& task_;
  const Registry& registry_;
  const Method& method_;
  RunFolder& folder_;
  const FinetuneOptions& options_;
  RunResult& result_;
  const RunSettings& settings_;
  const std::uint64_t seed_;
  const std::size_t batch_, epochs_;
  const double clip_;

  std::optional<ModelContent> content_;
  EncodedSplit train_split_, dev_split_;
  std::optional<TrainingSession> session_;
  std::optional<FeatureCache> train_features_, dev_features_;
  std::optional<RunLog> log_;
  Schedule schedule_;
  std::size_t steps_ = 0;  // of the whole run
  std::size_t tokens_ = 0, examples_ = 0;
  double first_loss_ = 0;
  Clock::time_point start_;  // of the first epoch
  double log_sum_ = 0;       // of losses since the last event
  std::size_t log_count_ = 0;
};

}  // namespace rankfold
