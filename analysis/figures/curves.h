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

/// The mean of one number a run, and what the runs have in common.
FigurePoint curve_point(const Rows& runs, double x, const std::vector<double>& values,
                        const Bounds& possible);

/// The runs that curves are drawn of.
struct ScoredRuns {
  Rows scored;
  std::size_t diverged = 0;
  std::set<std::string> models;  ///< of the scored ones
};
/// Throws Error where none has a score.
ScoredRuns scored_runs(const std::vector<ResultRow>& rows);
/// `is_best`: see Curves.
std::string curves_note(const FigurePlan& plan, const ScoredRuns& runs, bool is_best);

}  // namespace rankfold
