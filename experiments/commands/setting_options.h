#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "experiments/commands/options.h"
#include "experiments/models/shapes.h"
#include "experiments/runs/settings.h"

namespace rankfold {

/// The settings of a run (run_settings) as options of a command: those named, or all of them. None
/// is marked as required unless `keep_required`.
std::vector<Option> setting_options(bool keep_required, const std::vector<std::string>& names = {});

/// --set: the method's own keys.
Option set_option();

/// --budget: parameters that choose the rank.
Option budget_option();

/// What becomes of a method without a rank that has more parameters than the budget.
enum class OverBudget { refused, taken };

/// The settings with the rank that --budget, where it is given, chooses on the sites of `shape`.
/// Throws UsageError where --rank is given as well, or the smallest setting has more parameters.
RunSettings settings_within_budget(const Arguments& arguments, const Method& method,
                                   const ModelShape& shape,
                                   OverBudget without_rank = OverBudget::refused);

/// --threads, or all processors where it is not given. Throws UsageError where it is out of range.
std::size_t thread_count(const Arguments& arguments);

/// What was given of the settings and of --set.
RunSettings given_settings(const Arguments& arguments);

}  // namespace rankfold
