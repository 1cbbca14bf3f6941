#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW_s[out, in] = scale sum_abc core[a, b, c] U[out, a] V[in, b] S[s, c]: full Tucker of the stack
// of updates, where LoTR's Tucker-2 keeps a core of its own for every site. The core starts at
// zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, s{"stack", stack.sites.size()},
      a{"a", settings.ranks[0]}, b{"b", settings.ranks[1]}, c{"c", settings.ranks[2]};
  return weight_update({.out = {out},
                        .in = {in},
                        .terms = {{.scale = settings.number("scale"),
                                   .product = {Factor{"core", {a, b, c}, zeros(), Owner::model},
                                               Factor{"U", {out, a}, orthogonal(), Owner::model},
                                               Factor{"V", {in, b}, orthogonal(), Owner::model},
                                               Factor{"S", {s, c}, orthogonal(), Owner::model}}}},
                        .select = {{"stack", site_position(stack, site)}}});
}

Method tucker3() {
  return {.name = "tucker3",
          .summary = "full Tucker over out, in and the stack of sites",
          .formula = "dW_s[out,in] = scale * sum_abc core[a,b,c] U[out,a] V[in,b] S[s,c]",
          .reference = "Tucker, Psychometrika 31 (1966), over a stack of updates",
          .options = {scale_option()},
          .alpha = 0,
          .rank_modes =
              [](const MethodSettings&) {
                return std::vector<std::string>{"out", "in", "stack"};
              },
          .declare = declare};
}

}  // namespace rankfold
