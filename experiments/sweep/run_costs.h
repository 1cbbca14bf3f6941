#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>

#include "experiments/runs/settings.h"

namespace rankfold {

/// How long runs train, by those that have ended: a guess for others.
class RunCosts {
 public:
  bool empty() const { return same_data_.empty(); }
  /// A finished run, by its canonical settings.
  void add(const RunSettings& run, double train_seconds);
  /// The mean, by epochs, of the runs that differ in the seed and the optimiser's settings only;
  /// else of those on the same model, data and number of tokens with any method; nothing where
  /// there are none.
  std::optional<double> seconds(const RunSettings& run) const;

 private:
  struct Mean {
    double sum = 0;
    std::size_t count = 0;
  };
  std::map<std::string, Mean> alike_, same_data_;  // seconds an epoch
};

}  // namespace rankfold
