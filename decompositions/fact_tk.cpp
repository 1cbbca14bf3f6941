#include <cmath>

#include "decompositions/common.h"
#include "decompositions/fact.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = scale sum_pqc U[in, p] C[p, q, c] P[c, slot] V[q, out]: Tucker over (in, out,
// slot), all of it shared by the model; an MLP weight is several slots side by side. C and P start
// as torch's xavier_uniform has it (fans r^2 and r^2; slots and r), V at zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const FactSlots slots("fact_tk", site, stack);
  const Mode out{"out", slots.hidden}, in{"in", slots.hidden}, p{"p", settings.rank},
      q{"q", settings.rank}, c{"c", settings.rank}, slot{"slot", slots.total};
  const auto rank = static_cast<double>(settings.rank);
  const double by_width = 1 / std::sqrt(static_cast<double>(slots.hidden)),
               by_slots = std::sqrt(6 / (static_cast<double>(slots.total) + rank));
  const Mode own{"slot", slots.count};
  return weight_update(
      {.out = slots.side(out, own, true),
       .in = slots.side(in, own, false),
       .terms = {{.scale = settings.number("scale"),
                  .product = {Factor{"U", {in, p}, uniform(by_width), Owner::model},
                              Factor{"C", {p, q, c}, uniform(std::sqrt(3.0) / rank), Owner::model},
                              Factor{"P", {c, slot}, uniform(by_slots), Owner::model},
                              Factor{"V", {q, out}, zeros(), Owner::model}}}},
       .select = {{"slot", slots.first, slots.count}}});
}

Method fact_tk() {
  return {.name = "fact_tk",
          .summary = "Tucker over in, out and matrix, shared by the model",
          .formula = "dW_s[out,in] = scale * sum_pqc U[in,p] C[p,q,c] P[c,s] V[q,out]",
          .reference = "Jie and Deng, FacT, arXiv 2212.03145; JieShibo/PETL-ViT",
          .options = {scale_option()},
          .alpha = 0,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
