#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "experiments/tokenizers/prefix_tree.h"

namespace rankfold {

/// The tokens of a model with their ids, each of which occurs once.
struct Vocabulary {
  PrefixTree tokens;
  std::vector<std::int32_t> ids;  ///< ascending

  /// The largest id + 1.
  std::size_t size() const { return ids.empty() ? 0 : static_cast<std::size_t>(ids.back()) + 1; }
};

}  // namespace rankfold
