#pragma once

#include <compare>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "analysis/figures/figure_kind.h"
#include "experiments/runs/results.h"

namespace rankfold {

/// Which line of a figure a result belongs to.
struct LineName {
  std::string method;
  int variant = 0;       ///< 0, 1, ... among the legend entries of its method
  std::string legend;    ///< "lora, last:2"
  std::string rank;      ///< where lines of one legend entry differ in it, else ""
  std::string csv_name;  ///< `legend` without layers, which have a column of their own

  auto operator<=>(const LineName&) const = default;
};

/// Decides from all rows of a figure which settings have to tell the lines of a method apart:
/// layers and targets where they vary within a task, the number of rows trained on where methods or
/// tasks differ in it; any other setting where runs of one task, rank and layers differ in it; what
/// scores were measured on (score-on, split) and in which precision wherever any runs differ in it;
/// along the axes of depth and learning rate also the rank, along depth whether the first, the last
/// or chosen layers are
/// adapted
/// (`all` ends both). The learning rate tells no lines apart on its own axis and where costs are
/// drawn; curves of convergence are told apart by the rank too, in the legend.
class LineSplit {
 public:
  LineSplit(FigureKind kind, const std::vector<ResultRow>& rows);

  /// One line; several only for a run of all layers on the axis of depth.
  std::vector<LineName> lines_of(const ResultRow& row) const;
  /// The name of a horizontal reference: it is never split by rank or depth.
  LineName reference_name(const ResultRow& row) const;
  /// Whether the method was run at more than one number of layers.
  bool has_depths(const std::string& method) const;
  /// Whether some legend entry stands for lines of several ranks.
  bool lines_differ_in_rank() const;

 private:
  using Attributes = std::vector<std::pair<std::string, std::string>>;  // key, value
  bool ranks_at_lines() const;
  Attributes attributes(const ResultRow& row) const;
  std::vector<std::string> families_of(const ResultRow& row) const;
  LineName name(const ResultRow& row, const std::string& family, bool reference) const;

  FigureKind kind_;
  std::map<std::string, std::set<std::string>> varying_;   // method: keys
  std::map<std::string, std::set<std::string>> families_;  // method: first, last, chosen
  std::map<std::string, std::set<std::int64_t>> depths_;
  std::map<std::string, std::vector<std::string>> names_;  // method: legend entries, in order
};

}  // namespace rankfold
