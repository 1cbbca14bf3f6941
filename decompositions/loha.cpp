#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / r) (sum_p w1_a[out, p] w1_b[p, in]) (sum_q w2_a[out, q] w2_b[q, in]):
// out and in stand in both products. Its rank may reach r^2. w2_b starts at zero.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank}, q{"q", settings.rank};
  const Initialiser by_rank = uniform(1 / std::sqrt(static_cast<double>(settings.rank))),
                    by_width = uniform(1 / std::sqrt(static_cast<double>(site.in)));
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {
           {.scale = alpha_over_rank(settings, settings.rank),
            .product = {Factor{"w1_a", {out, p}, by_rank}, Factor{"w1_b", {p, in}, by_width},
                        Factor{"w2_a", {out, q}, by_rank}, Factor{"w2_b", {q, in}, zeros()}}}}});
}

Method loha() {
  return {
      .name = "loha",
      .summary = "the Hadamard product of two low-rank products",
      .formula =
          "dW[out,in] = alpha/r * (sum_p w1_a[out,p] w1_b[p,in]) (sum_q w2_a[out,q] "
          "w2_b[q,in])",
      .reference = "Hyeon-Woo et al., FedPara, arXiv 2108.06098; LyCORIS, huggingface/peft LOHA",
      .options = {rslora_option()},
      .alpha = 8,
      .rank_limit = smallest_side,
      .declare = declare};
}

}  // namespace rankfold
