#include <cmath>

#include "decompositions/common.h"
#include "decompositions/fact.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = scale sum_pq U[in, p] S_site[p, q] V[q, out]: a tensor train over (in, slot, out)
// whose ends are shared by the model. An MLP weight is `slots` matrices side by side, S[p, slot,
// q]. U and S start as torch's linear layers do, V at zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const FactSlots slots("fact_tt", site, stack);
  const Mode out{"out", slots.hidden}, in{"in", slots.hidden}, p{"p", settings.rank},
      q{"q", settings.rank}, slot{"slot", slots.count};
  const double by_width = 1 / std::sqrt(static_cast<double>(slots.hidden)),
               by_rank = 1 / std::sqrt(static_cast<double>(settings.rank));
  std::vector<Mode> core{p, q};
  if (slots.count > 1) core = {p, slot, q};
  return weight_update(
      {.out = slots.side(out, slot, true),
       .in = slots.side(in, slot, false),
       .terms = {{.scale = settings.number("scale"),
                  .product = {Factor{"U", {in, p}, uniform(by_width), Owner::model},
                              Factor{"S", core, uniform(by_rank)},
                              Factor{"V", {q, out}, zeros(), Owner::model}}}}});
}

Method fact_tt() {
  return {.name = "fact_tt",
          .summary = "tensor train over in, matrix and out with ends shared by the model",
          .formula = "dW_site[out,in] = scale * sum_pq U[in,p] S_site[p,q] V[q,out]",
          .reference = "Jie and Deng, FacT, arXiv 2212.03145; JieShibo/PETL-ViT",
          .options = {scale_option()},
          .alpha = 0,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
