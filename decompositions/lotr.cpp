#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW_site[out, in] = (alpha / r) sum_rs lhs[r, out] mid_site[s, r] rhs[in, s]: Tucker-2 of the
// stack of updates with the identity on the stacking mode. lhs and rhs are shared by all sites (the
// paper's code), or by the sites of one matrix type (stack=per-type, the other reading of the
// paper).
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank}, s{"s", settings.rank};
  const Owner shared = settings.text("stack") == "per-type" ? Owner::matrix : Owner::model;
  return weight_update({.out = {out},
                        .in = {in},
                        .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                                   .product = {Factor{"lhs", {r, out}, normal(1), shared},
                                               Factor{"mid", {s, r}, zeros(), Owner::site},
                                               Factor{"rhs", {in, s}, normal(1), shared}}}}});
}

Method lotr() {
  return {
      .name = "lotr",
      .summary = "Tucker-2: outer factors shared by all layers, a core a matrix",
      .formula = "dW_site[out,in] = alpha/r * sum_rs lhs[r,out] mid_site[s,r] rhs[in,s]",
      .reference = "Bershatsky et al., LoTR, arXiv 2402.01376; daskol/lotr, lotr/lotr.py",
      .options = {{"stack",
                   "one",
                   {"one", "per-type"},
                   "share lhs and rhs over all matrices, or over those of one type"},
                  rslora_option()},
      .presets = {{"paper", "daskol/lotr, lotr/lotr.py: scale 1 over the rank", {{"alpha", "1"}}}},
      .alpha = 1,
      .rank_limit = smallest_side,
      .declare = declare};
}

}  // namespace rankfold
