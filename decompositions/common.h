#pragma once

#include <algorithm>
#include <optional>

#include "core/method.h"

namespace rankfold {

/// The option that divides alpha by the root of the rank (rsLoRA, arXiv 2312.03732).
inline MethodOption rslora_option() {
  return {
      "rslora", "false", {"true", "false"}, "scale by alpha / sqrt(rank) instead of alpha / rank"};
}

/// min(out, in) over the sites: the limit where the rank is a matrix rank.
inline std::optional<std::size_t> smallest_side(const Stack& stack) {
  std::optional<std::size_t> smallest;
  for (const Site& site : stack.sites)
    smallest = std::min({smallest.value_or(site.out), site.out, site.in});
  return smallest;
}

}  // namespace rankfold
