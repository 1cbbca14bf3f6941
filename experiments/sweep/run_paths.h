#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/method.h"
#include "experiments/training/settings.h"

namespace rankfold {

/// Where each run of a sweep goes below its output folder:
///
///   <task>/<model folder>/<method>/lr=5e-4/rank=8/<others, by name>=.../seed=42
///
/// lr, rank (where the method has one) and seed always stand there; another setting only where it
/// differs from its default, or where runs of the method differ in it. A setting that is missing in
/// a path therefore has its default, so that paths of unlike runs on one model and data folder
/// never meet, however a sweep grows; a setting that begins to vary may give a run a second path,
/// which is why finished runs are looked up by their settings. `runs` are canonical. Characters of
/// values other than letters, digits and ._,+:- are written %XX.
std::vector<std::filesystem::path> run_paths(const std::vector<RunSettings>& runs,
                                             const Registry& registry);

/// A value as a part of a path.
std::string path_safe(const std::string& value);

}  // namespace rankfold
