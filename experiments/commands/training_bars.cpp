#include "experiments/commands/training_bars.h"

#include <fmt/core.h>

#include "experiments/training/interrupt.h"

namespace rankfold {

TrainingBars::TrainingBars(std::ostream& err)
    : err_(err), terminal_(standard_error_is_terminal()) {}

FinetuneOptions TrainingBars::hooks() {
  FinetuneOptions options;
  options.stop_requested = InterruptGuard::requested;
  options.message = [this](const std::string& line) { tell(line); };
  options.progress = [this](const TrainingProgress& progress) { show(progress); };
  options.scoring = [this](std::size_t done, std::size_t examples) {
    scoring_.update(done, examples);
  };
  return options;
}

void TrainingBars::tell(const std::string& line) {
  // A bar may stand in the line; it is drawn again.
  err_ << (bar_ && terminal_ ? "\r\x1b[K" : "") << line << '\n';
}

void TrainingBars::show(const TrainingProgress& progress) {
  if (!bar_) bar_ = std::make_unique<Progress>("training", progress.steps, terminal_);
  bar_->update(progress.step, fmt::format("loss {:.4f}, {:.0f} tokens/s", progress.loss,
                                          progress.tokens_per_second));
  if (progress.step == progress.steps) bar_->finish();
}

}  // namespace rankfold
