#pragma once

#include <string>
#include <vector>

#include "experiments/runs/run_selection.h"

namespace rankfold {

/// Gives models and data folders of all runs names instead of paths: told apart by the fingerprints
/// of what was read, where run.json has them ("glue@1a2b3c4d"), else by as much of the path as
/// tells folders of one name apart. Notes models of one name that differ.
void name_folders(const std::vector<RunView>& runs, std::vector<std::string>& notes);

}  // namespace rankfold
