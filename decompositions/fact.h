#pragma once

#include <vector>

#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// FacT reads a model as slots of hidden x hidden: a weight of the MLP is several of them side by
/// side along its longer side (Jie and Deng, arXiv 2212.03145).
struct FactSlots {
  std::size_t hidden = 0, first = 0, count = 1, total = 0;  ///< the site's slots among all
  bool along_out = false;

  /// Throws UsageError where a side of the site is no multiple of the stack's smallest, or both are
  /// more.
  FactSlots(const std::string& method, const Site& site, const Stack& stack);
  /// A side of the weight: hidden, split by the slots where they lie along it.
  std::vector<Mode> side(const Mode& whole, const Mode& slots, bool out) const;
};

}  // namespace rankfold
