#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW_s[out, in] = (alpha / r) sum_k C[s, k] sum_p U[out, k, p] V[k, p, in]: a sum of blocks of rank
// (r, r, 1), each a low-rank matrix that every site takes with a weight of its own (De Lathauwer,
// SIAM J. Matrix Anal. Appl. 30 (2008), part II). Between CP (r = 1) and one shared LoRA (one
// block). U starts at zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank},
      k{"block", settings.count("blocks")}, s{"stack", stack.sites.size()};
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                  .product = {Factor{"C", {s, k}, normal(1), Owner::model},
                              Factor{"U", {out, k, p}, zeros(), Owner::model},
                              Factor{"V",
                                     {k, p, in},
                                     uniform(1 / std::sqrt(static_cast<double>(site.in))),
                                     Owner::model}}}},
       .select = {{"stack", site_position(stack, site)}}});
}

Method block_term() {
  return {.name = "block_term",
          .summary = "low-rank blocks shared by the model, weighted by site",
          .formula = "dW_s[out,in] = alpha/r * sum_k C[s,k] sum_p U[out,k,p] V[k,p,in]",
          .reference =
              "De Lathauwer, Decompositions of a higher-order tensor in block terms II, "
              "SIAM J. Matrix Anal. Appl. 30 (2008), over a stack of updates",
          .options = {{"blocks", "4", {}, "the number of blocks"}, rslora_option()},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
