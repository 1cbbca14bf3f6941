#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// A tensor train over the axes of the model: (in, layer, matrix, out), or with order=5d
// (in, layer, matrix, head, head_dim), one for all sites. Where the paper's start is not known, the
// last core starts at zero, so that the adapter starts without effect, the middle cores with
// variance 1 / r, which keeps the size of a product along the train.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const bool heads = settings.text("order") == "5d";
  const auto bond = [&](std::size_t i) {
    return Mode{"r" + std::to_string(i), settings.ranks[i - 1]};
  };
  const Mode in{"in", site.in}, layer{"layer", stack.layers.size()},
      matrix{"matrix", stack.matrices.size()}, out{"out", site.out}, head{"head", site.heads},
      head_dim{"head_dim", heads ? head_size("metatt", site) : 1};
  const auto middle = [](const Mode& before) {
    return normal(1 / std::sqrt(static_cast<double>(before.size)));
  };
  const Initialiser first = uniform(1 / std::sqrt(static_cast<double>(site.in)));
  Term term{.product = {Factor{"G1", {in, bond(1)}, first, Owner::model},
                        Factor{"G2", {bond(1), layer, bond(2)}, middle(bond(1)), Owner::model},
                        Factor{"G3", {bond(2), matrix, bond(3)}, middle(bond(2)), Owner::model}}};
  term.scale = settings.alpha;
  if (heads)
    term.product.push_back(Factor{"G4", {bond(3), head, bond(4)}, middle(bond(3)), Owner::model});
  term.product.push_back(heads ? Factor{"G5", {bond(4), head_dim}, zeros(), Owner::model}
                               : Factor{"G4", {bond(3), out}, zeros(), Owner::model});
  return weight_update(
      {.out = heads ? std::vector<Mode>{head, head_dim} : std::vector<Mode>{out},
       .in = {in},
       .terms = {std::move(term)},
       .select = {{"layer", stack.layer_position(site)}, {"matrix", stack.matrix_position(site)}}});
}

Method metatt() {
  return {.name = "metatt",
          .summary = "one tensor train over in, layer, matrix (, head) and out",
          .formula =
              "dW_{l,m}[out,in] = alpha * sum G1[in,a] G2[a,l,b] G3[b,m,c] G4[c,out]; 5d: "
              "G4[c,head,d] G5[d,head_dim]",
          .reference = "Lopez-Piqueres et al., MetaTT, arXiv 2506.09105",
          .options = {{"order",
                       "4d",
                       {"4d", "5d"},
                       "axes of the train: in, layer, matrix, out, or with heads apart"}},
          .alpha = 1,
          .rank_modes =
              [](const MethodSettings& settings) {
                std::vector<std::string> bonds{"bond 1", "bond 2", "bond 3"};
                if (settings.text("order") == "5d") bonds.push_back("bond 4");
                return bonds;
              },
          .declare = declare};
}

}  // namespace rankfold
