#pragma once

#include <filesystem>
#include <string>

#include "experiments/training/settings.h"

namespace rankfold {

/// The first setting in which two canonical runs differ, in the order of run_settings, as
/// "lr is 1e-3 there and 5e-4 here"; "" where they are the same.
std::string first_difference(const RunSettings& there, const RunSettings& here);

/// Makes a run's folder ready for a new attempt: it exists, can be written to, and holds no event
/// file, adapter or run.json of an earlier one. Throws Error naming it.
void prepare_run_folder(const std::filesystem::path& out);

}  // namespace rankfold
