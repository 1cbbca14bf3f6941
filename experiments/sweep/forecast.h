#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "experiments/runs/settings.h"
#include "experiments/sweep/shape_store.h"

namespace rankfold {

/// The task and the data of a dry run that is told none.
inline constexpr const char* unknown_place = "UNKNOWN";

/// What is known of a run before it is run; the rest is missing.
struct RunForecast {
  std::size_t adapter = 0;
  std::optional<std::size_t> trainable;  ///< with the head of the task's outputs
  std::optional<std::size_t> rows;       ///< that it trains on
  std::optional<std::size_t> epochs, steps;
  std::optional<std::size_t> forwards;  ///< passes over a batch
  /// Of training at least: step_work at the machine's rate of large products with the run's
  /// threads, for the tokens of the first 1,000 rows.
  std::optional<double> least_seconds;
};

/// Forecasts of the runs of a sweep, from shapes, rows and tokenizers, each read once.
class Forecaster {
 public:
  Forecaster(const Registry& registry, ShapeStore& store) : registry_(registry), store_(store) {}

  /// Of a run with its settings canonical, whose model is a folder or a built-in shape. Throws
  /// UsageError as ShapeStore::count does.
  const RunForecast& of(const RunSettings& settings);

  /// A line for each cause of numbers that are missing, and for each warm-up as long as its run.
  const std::vector<std::string>& notes() const { return notes_; }
  /// "98 GFLOP/s with 1 thread", for each number of threads that a least time goes by.
  std::vector<std::string> rates() const;

 private:
  /// What a run trains on.
  struct Rows {
    std::optional<std::size_t> count = {};
    std::optional<double> tokens = {};  ///< of a row, on average
    double told = 0;                    ///< of them those whose logits over a vocabulary are formed
  };

  RunForecast make(const RunSettings& settings);
  const Rows& rows_of(const RunSettings& settings);
  Rows read_rows(const RunSettings& settings);
  Rows unknown_rows();
  Rows labelled_rows(const Task& task, const RunSettings& settings);
  Rows asked_rows(const Task& task, const TaskChoice& choice, const RunSettings& settings);
  bool has_tokenizer(const RunSettings& settings);
  double rate_of(std::size_t threads);
  void note(const std::string& line);

  const Registry& registry_;
  ShapeStore& store_;
  std::map<std::string, RunForecast> known_;
  std::map<std::string, Rows> rows_;
  std::map<std::size_t, double> rates_;
  std::vector<std::string> notes_;
};

}  // namespace rankfold
