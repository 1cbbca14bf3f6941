#pragma once

#include <cstddef>
#include <memory>

#include "core/base/progress.h"

namespace rankfold {

/// Progress of scoring on standard error: a bar, or lines, which begin only after two seconds, so
/// that small sets leave nothing behind. May be used for one set after another.
class ScoringBar {
 public:
  void update(std::size_t done, std::size_t examples);

 private:
  std::unique_ptr<Progress> bar_;
  double start_ = 0;
  bool shown_ = false;
};

}  // namespace rankfold
