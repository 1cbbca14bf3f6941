#pragma once

#include <vector>

#include "analysis/figures/figure_lines.h"

namespace rankfold {

/// The runs of one curve: they differ in nothing but the seed.
struct CurveRuns {
  LineName name;
  Rows runs;
  double score = 0;  ///< mean of theirs
};

/// The curves of a panel, in the order of methods.
struct Curves {
  std::vector<CurveRuns> lines;
  bool is_best =
      false;  ///< there were more than eight: of each method the best-scoring one is left
};
Curves curves_of(const LinePlanner& planner, const Rows& of_task);

}  // namespace rankfold
