#include "decompositions/fact.h"

#include <algorithm>

#include "core/base/error.h"
#include "decompositions/common.h"

namespace rankfold {

FactSlots::FactSlots(const std::string& method, const Site& site, const Stack& stack)
    : hidden(smallest_side(stack).value_or(1)) {
  for (const Site& each : stack.sites) {
    const std::size_t out = each.out / hidden, in = each.in / hidden;
    if (out * hidden != each.out || in * hidden != each.in || std::min(out, in) != 1)
      throw UsageError("[{}] site {} is {}x{}, expected one side of {} and the other a multiple",
                       method, each.name, each.out, each.in, hidden);
    if (each.name == site.name) {
      first = total;
      count = std::max(out, in);
      along_out = out > 1;
    }
    total += std::max(out, in);
  }
}

std::vector<Mode> FactSlots::side(const Mode& whole, const Mode& slots, bool out) const {
  if (count > 1 && along_out == out) return {slots, whole};
  return {whole};
}

}  // namespace rankfold
