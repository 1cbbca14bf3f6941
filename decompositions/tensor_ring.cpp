#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// A train over (in, layer, matrix, out) whose two ends meet in a bond as well (Zhao et al., arXiv
// 1606.05535), one for all sites. The out core starts at zero, the others so that a product along
// the ring keeps its size.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const auto bond = [&](std::size_t i) { return Mode{"r" + std::to_string(i), settings.ranks[i]}; };
  const Mode in{"in", site.in}, layer{"layer", stack.layers.size()},
      matrix{"matrix", stack.matrices.size()}, out{"out", site.out};
  const auto spread = [](const Mode& before) {
    return normal(1 / std::sqrt(static_cast<double>(before.size)));
  };
  const double by_width = 1 / std::sqrt(static_cast<double>(site.in));
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms =
           {{.scale = settings.alpha,
             .product = {Factor{"G1", {bond(0), in, bond(1)}, uniform(by_width), Owner::model},
                         Factor{"G2", {bond(1), layer, bond(2)}, spread(bond(1)), Owner::model},
                         Factor{"G3", {bond(2), matrix, bond(3)}, spread(bond(2)), Owner::model},
                         Factor{"G4", {bond(3), out, bond(0)}, zeros(), Owner::model}}}},
       .select = {{"layer", stack.layer_position(site)}, {"matrix", stack.matrix_position(site)}}});
}

Method tensor_ring() {
  return {.name = "tensor_ring",
          .summary = "one tensor ring over in, layer, matrix and out",
          .formula = "dW_{l,m}[out,in] = alpha * sum G1[a,in,b] G2[b,l,c] G3[c,m,d] G4[d,out,a]",
          .reference =
              "Zhao et al., Tensor ring decomposition, arXiv 1606.05535, over a stack of "
              "updates",
          .alpha = 1,
          .rank_modes =
              [](const MethodSettings&) {
                return std::vector<std::string>{"closing bond", "bond 1", "bond 2", "bond 3"};
              },
          .declare = declare};
}

}  // namespace rankfold
