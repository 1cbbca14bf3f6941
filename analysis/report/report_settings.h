#pragma once

#include <map>
#include <string>
#include <vector>

#include "experiments/runs/run_record.h"

namespace rankfold {

/// A setting that is the same in all runs that have it.
struct CommonSetting {
  std::string name, value;
  std::vector<std::string> methods;  ///< whose runs have it; none: all
};

struct SortedSettings {
  std::vector<CommonSetting> common;
  std::vector<std::string> varying;
};

/// Which settings are common to all runs and which tell them apart. One that all runs of some
/// methods have, with one value, and no other run, is common to those methods. Task, model, method,
/// rank and seed are neither: they stand for the runs.
SortedSettings sort_settings(const std::vector<RunRecord>& runs);

}  // namespace rankfold
