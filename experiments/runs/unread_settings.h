#pragma once

#include <span>

#include "experiments/runs/settings.h"

namespace rankfold {

/// A setting that nothing reads beside the others (SettingSpec::used_with) must have its default,
/// so that nobody tunes what does nothing.

/// Throws UsageError for the first that has another value.
void expect_read(const RunSettings& settings);
/// The same of a grid, where a setting may be read by some of the runs: it is left out of the
/// others. Throws UsageError for one that no run which has another value reads.
/// Returns whether one was left out.
bool drop_unread(std::span<RunSettings* const> runs);
/// Leaves them out of a run that an older version made with them.
void drop_unread(RunSettings& settings);

}  // namespace rankfold
