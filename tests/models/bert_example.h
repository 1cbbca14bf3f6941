#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "experiments/models/host.h"
#include "source_paths.h"

namespace rankfold {

/// The tiny BERT of the golden data.
inline const std::filesystem::path golden =
    std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "models/bert";

/// Three short sequences with labels 0, 1, 0, or those of them that `which` lists.
inline Batch example(std::vector<int> which = {0, 1, 2}) {
  const std::vector<std::vector<std::int32_t>> sentences = {
      {2, 17, 45, 99, 3}, {2, 8, 3}, {2, 33, 60, 71, 12, 5, 90, 41, 3}};
  Batch batch;
  batch.starts = {0};
  for (const int index : which) {
    const auto& ids = sentences[static_cast<std::size_t>(index)];
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
    for (std::size_t i = 0; i < ids.size(); ++i) batch.type_ids.push_back(i > 3 ? 1 : 0);
    batch.starts.push_back(batch.ids.size());
    batch.labels.push_back(static_cast<float>(index % 2));
  }
  return batch;
}

}  // namespace rankfold
