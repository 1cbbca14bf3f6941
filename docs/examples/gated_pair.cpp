#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW_{l,m}[out, in] = (alpha / r) sum_p g[l, p] U_m[out, p] V_m[p, in]: one low-rank pair a matrix
// type, shared by all layers, and a gate for every layer and direction. Starts at zero through U.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank},
      layer{"layer", stack.layers.size()};
  const double bound = 1 / std::sqrt(static_cast<double>(site.in));
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                  .product = {Factor{"g", {layer, p}, constant(1), Owner::model},
                              Factor{"U", {out, p}, zeros(), Owner::matrix},
                              Factor{"V", {p, in}, uniform(bound), Owner::matrix}}}},
       .select = {{"layer", stack.layer_position(site)}}});
}

Method gated_pair() {
  return {.name = "gated_pair",
          .summary = "one low-rank pair a matrix type, gated by layer",
          .formula = "dW_{l,m}[out,in] = alpha/r * sum_p g[l,p] U_m[out,p] V_m[p,in]",
          .reference = "made up for docs/adding-a-method.md",
          .options = {rslora_option()},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
