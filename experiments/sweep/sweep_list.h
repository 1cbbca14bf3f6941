#pragma once

#include <filesystem>

#include "experiments/sweep/train_sweep.h"

namespace rankfold {

/// Writes `<out>/sweep.json`, unless it says the same already: kind, and the settings (as in
/// run.json) and folder of every run, one a line: first those of the sweep.json in `out` whose
/// folders are still there and that this sweep does not have, then this sweep's in order. What of
/// the file there is not whole, and folders that do not lie below `out`, are left out.
void write_sweep_list(const std::vector<SweepRun>& runs, const std::filesystem::path& out,
                      const Registry& registry);

}  // namespace rankfold
