#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "analysis/logs/collect.h"
#include "analysis/logs/log_restarts.h"
#include "analysis/logs/scalar_runs.h"
#include "core/base/pattern.h"

namespace rankfold {

/// What was read from many event files.
struct ScalarFiles {
  std::vector<SortedRun> runs;
  std::vector<std::string> tags;  ///< by number, in any order
  std::vector<RestartMark> restarts;
  std::vector<std::string> unreadable;           ///< files, with the reason
  std::vector<CollectReport::Problem> repeated;  ///< see CollectReport
  std::vector<CollectReport::Problem> problems;
};

/// Reads the scalars whose tag begins as the pattern says, by several threads; each file gives
/// sorted runs (by tag and step, or step and tag), whose order is that of the files.
ScalarFiles read_scalar_files(const std::vector<std::filesystem::path>& files,
                              const Pattern& pattern, bool tag_first, bool by_tag, bool by_step,
                              std::size_t threads, RunStore& store,
                              const std::function<void(std::size_t done)>& check);

}  // namespace rankfold
