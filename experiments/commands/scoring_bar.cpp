#include "experiments/commands/scoring_bar.h"

namespace rankfold {

void ScoringBar::update(std::size_t done, std::size_t examples) {
  constexpr double patience = 2;
  const double now = standard_error_output().seconds();
  if (!bar_) {
    bar_ = std::make_unique<Progress>("scoring", examples, standard_error_is_terminal());
    start_ = now;
    shown_ = false;
  }
  if (now - start_ >= patience) {
    shown_ = true;
    bar_->update(done);
  }
  if (done < examples) return;
  if (shown_) bar_->finish();
  bar_.reset();
}

}  // namespace rankfold
