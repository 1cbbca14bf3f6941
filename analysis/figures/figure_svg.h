#pragma once

#include <string>
#include <vector>

#include "analysis/figures/figure_plan.h"

namespace rankfold {

/// 1234567 as 1,234,567.
std::string grouped_count(std::int64_t count);

/// Draws plans as HTML with inline SVG: a legend whose entries are buttons, a picture for each
/// panel (those of one group side by side), the note, and the drawn values as CSV for the page's
/// script. Lines have the colours, dashes and markers of method_style.h as classes of
/// the page's style sheet, so that they follow light and dark. Every point holds a <title> that
/// tells its line, rank, parameters, mean, interval, runs and how many of them diverged.
class SvgFigures {
 public:
  /// `title` heads the figure, `id` is its anchor.
  std::string draw(const FigurePlan& plan, const std::string& title, const std::string& id);
  /// The rules of the colours that were drawn with: the same in light, legible ones in dark.
  std::string colour_rules() const;

 private:
  std::size_t colour(const std::string& value);
  std::string legend(const FigurePlan& plan);
  std::string panel(const FigurePlan& plan, const FigurePanel& panel);

  std::vector<std::string> colours_;
};

}  // namespace rankfold
