#pragma once

#include <string>
#include <vector>

#include "analysis/figures/figure_kind.h"
#include "experiments/runs/results.h"

namespace rankfold {

/// The rows of a figure whose lines can be told apart.
struct ThinnedRows {
  std::vector<ResultRow> rows;
  std::string note;          ///< what was left out; "" for nothing
  bool is_one_rank = false;  ///< of several, one for each method was kept
};

/// Rows that would give a task more than twelve lines, or a method more than six, lose lines: of
/// the settings that tell a method's lines apart (the learning rate, alpha, ...) the one with the
/// best mean score is kept at each of its points; then, along depth and learning rate, of a
/// method's ranks the one whose best mean score, averaged over tasks, is best (the middle one where
/// there are no scores). Layers, targets and numbers of rows are never chosen among.
ThinnedRows thin_rows(FigureKind kind, const std::vector<ResultRow>& rows);

}  // namespace rankfold
