#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "core/adapter/method.h"

namespace rankfold {

/// The setting of --rank that a budget of parameters chooses.
struct BudgetedRank {
  std::string rank;            ///< "8", "9x8x8"; "" where the method has none
  std::size_t parameters = 0;  ///< trainable ones of the adapter
  bool fits = false;           ///< false: this is the smallest setting, and it has more
};

/// The rank of the largest adapter of at most `budget` parameters, the smallest among ranks of one
/// count (lokr has such). By doubling and bisection over the count of the declaration, which grows
/// with the rank; where rank 2 has fewer than rank 1 (randlora's falls, with rises between) all
/// ranks are counted, and those that `accepts` refuses, where it is given, are passed over. Where
/// rank 1 is refused, the smallest rank up to 64 that is not and its multiples are tried. Where
/// every mode has a rank they are equal, unless that leaves more than a twentieth unused: then
/// single modes get one more, the mode that adds most first, as long as they fit. The rank of
/// `request` is not read. Throws as resolve_settings and count_parameters do at rank 1.
BudgetedRank choose_rank(const Method& method, MethodRequest request, const Stack& stack,
                         std::size_t budget,
                         std::function<bool(const std::string& rank)> accepts = {});

}  // namespace rankfold
