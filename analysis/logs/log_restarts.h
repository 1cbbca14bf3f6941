#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "analysis/logs/collect.h"
#include "analysis/logs/scalar_runs.h"

namespace rankfold {

inline constexpr std::uint32_t every_tag = UINT32_MAX;

/// Where a run went on from an earlier step: the same folder's scalars that were written before it,
/// at this step or later, are void.
struct RestartMark {
  std::uint32_t file = 0;
  std::uint64_t order = 0;  ///< sorted runs of smaller order were written before it
  std::int64_t step = 0;
  std::uint32_t tag = every_tag;  ///< void are those of this tag
};

/// Leaves out of the sorted runs what TensorBoard does not show either: scalars that a mark voids,
/// in their folder's files sorted by name. Where a later file of a folder has a tag at steps that
/// an earlier one has too, and marks no restart, the earlier one's are left out from the first such
/// step on. `runs` are sorted by their order, `paths` are the files by number. Returns what was
/// left out, by file.
std::vector<CollectReport::Problem> leave_out_restarted(
    std::vector<SortedRun>& runs, const std::vector<RestartMark>& marks,
    const std::vector<std::filesystem::path>& paths, RunStore& store);

}  // namespace rankfold
