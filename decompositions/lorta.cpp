#include <cmath>

#include "core/base/error.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// T[hidden, (head, head_dim), layer, matrix] =
//     sum_p A[hidden, p] B[p, head_dim] C_h[head, p] C_l[layer, p] C_m[matrix, p]  (CP)
// Heads lie where the matrix has them (rows of q, k, v; columns of o), or always on one side, as
// the authors' two codes have it. Their code draws A with the rank as fan-in.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const std::string& axis = settings.text("head-axis");
  const bool on_input = axis == "input" || (axis == "physical" && site.matrix == MatrixType::o);
  const std::size_t head_side = on_input ? site.in : site.out;
  if (site.heads == 0 || head_side % site.heads != 0)
    throw UsageError("[lorta] site {}: {} heads do not divide its {} side of {}", site.name,
                     site.heads, on_input ? "input" : "output", head_side);
  const Mode hidden{"hidden", on_input ? site.out : site.in}, head{"head", site.heads},
      head_dim{"head_dim", head_side / site.heads}, layer{"layer", stack.layers.size()},
      matrix{"matrix", stack.matrices.size()}, p{"p", settings.rank};
  const auto rank = static_cast<double>(settings.rank);
  const Initialiser spread = uniform(std::sqrt(6 / rank));
  const std::vector<Mode> heads{head, head_dim}, whole{hidden};
  return weight_update(
      {.out = on_input ? whole : heads,
       .in = on_input ? heads : whole,
       .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                  .product = {Factor{"A", {hidden, p}, uniform(1 / std::sqrt(rank)), Owner::model},
                              Factor{"B", {p, head_dim}, zeros(), Owner::model},
                              Factor{"C_h", {head, p}, spread, Owner::model},
                              Factor{"C_l", {layer, p}, spread, Owner::model},
                              Factor{"C_m", {matrix, p}, spread, Owner::model}}}},
       .select = {{"layer", stack.layer_position(site)}, {"matrix", stack.matrix_position(site)}}});
}

Method lorta() {
  return {.name = "lorta",
          .summary = "CP over hidden, head, head dimension, layer and matrix: one tensor a model",
          .formula =
              "dW_{l,m}[out,in] = alpha/r * sum_p A[hidden,p] B[p,head_dim] C_h[head,p] C_l[l,p] "
              "C_m[m,p]; (out; in) = (head, head_dim; hidden), for o the reverse",
          .reference = "Hounie et al., LoRTA, arXiv 2410.04060; ihounie/lorta",
          .options = {{"head-axis",
                       "physical",
                       {"physical", "output", "input"},
                       "the side that heads split: the matrix's own, or always one side"},
                      rslora_option()},
          .presets = {{"peft",
                       "ihounie/lorta, peft: heads on the input of every matrix",
                       {{"alpha", "8"}, {"head-axis", "input"}}},
                      {"lit-gpt",
                       "ihounie/lorta, lit_gpt: heads on the output of every matrix",
                       {{"alpha", "16"}, {"head-axis", "output"}}}},
          .alpha = 8,
          .declare = declare};
}

}  // namespace rankfold
