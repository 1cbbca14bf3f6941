#pragma once

#include <memory>
#include <ostream>

#include "core/base/progress.h"
#include "experiments/commands/scoring_bar.h"
#include "experiments/training/trainer.h"

namespace rankfold {

/// Shows on standard error how a run gets on; an interrupt stops it (see InterruptGuard).
class TrainingBars {
 public:
  explicit TrainingBars(std::ostream& err);
  TrainingBars(const TrainingBars&) = delete;
  TrainingBars& operator=(const TrainingBars&) = delete;

  /// They refer to this object.
  FinetuneOptions hooks();

 private:
  void tell(const std::string& line);
  void show(const TrainingProgress& progress);

  std::ostream& err_;
  bool terminal_;
  std::unique_ptr<Progress> bar_;
  ScoringBar scoring_;
};

}  // namespace rankfold
