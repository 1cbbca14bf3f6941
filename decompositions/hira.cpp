#include <cmath>

#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = W[out, in] sum_p B[out, p] A[p, in]: the frozen weight itself stands in the
// product, so the update has a rank far above r. B starts at zero.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank};
  Factor weight{"W", {out, in}, zeros(), Owner::site, false};
  weight.storage = Storage::weight;
  Declaration declaration = weight_update(
      {.out = {out},
       .in = {in},
       .terms = {
           {.product = {
                weight, Factor{"B", {out, p}, zeros()},
                Factor{"A", {p, in}, uniform(1 / std::sqrt(static_cast<double>(site.in)))}}}}});
  declaration.start = [](Start& start) { start.set_factor("W", start.weight()); };
  return declaration;
}

Method hira() {
  return {.name = "hira",
          .summary = "the frozen weight times a low-rank product, entry by entry",
          .formula = "dW[out,in] = W[out,in] sum_p B[out,p] A[p,in]",
          .reference = "Huang et al., HiRA, ICLR 2025; huggingface/peft HIRA",
          .alpha = 0,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
