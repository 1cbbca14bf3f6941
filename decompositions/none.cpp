#include "decompositions/registry.h"

namespace rankfold {

// dW = 0: the frozen network, of which only the head is trained.
static Declaration declare(const Site&, const Stack&, const MethodSettings&) {
  return {};
}

Method none() {
  return {.name = "none",
          .summary = "no update: the frozen network, only its head is trained",
          .formula = "dW[out,in] = 0",
          .reference = "reference point",
          .has_rank = false,
          .adapts_sites = false,
          .is_reference = true,
          .alpha = 0,
          .declare = declare};
}

}  // namespace rankfold
