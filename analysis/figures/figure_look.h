#pragma once

#include <optional>
#include <string>

#include "analysis/figures/figure_kind.h"
#include "analysis/figures/figure_plan.h"

namespace rankfold {

/// "all", "front" or "none"; "" for what can be read. Throws UsageError for anything else.
LabelChoice label_choice(const std::string& name);

/// "dots", "bars" or "band"; "" for what can be read.
std::optional<Spread> spread_named(const std::string& name);

/// "tasks" (or "") and "methods": whether every method has panels of its own.
bool methods_have_panels(const std::string& name);

/// "80:95", "80:", ":95": a missing end is infinite. `option` is for messages. Throws UsageError
/// for what is no range from a lower number to a higher one.
std::optional<Bounds> range_of(const std::string& option, const std::string& text);

/// A length in points (1/72 inch): a number with in, cm, mm or pt (TeX's, 1/72.27 inch). Throws
/// UsageError for other texts, and for widths in which nothing can be drawn or seen (1.5 to 40 in).
double width_in_points(const std::string& text);

/// Gives a finished plan its look: ranges, labels, a panel for each method. Throws UsageError for a
/// range of an axis whose quantity differs between the panels, Error where no point lies in the
/// ranges.
void apply_look(FigurePlan& plan, const FigureLook& look);

}  // namespace rankfold
