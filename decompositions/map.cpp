#include <cmath>

#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

/// The paper's start is not known. With a = |W|_F and b = 0 the update starts without effect; then
/// dW must not be zero, or neither b nor dW would ever have a gradient.
void draw_zero_factors(std::vector<Operand>& product) {
  for (Operand& operand : product) {
    if (auto* block = std::get_if<Block>(&operand)) {
      draw_zero_factors(block->product);
      continue;
    }
    Factor& factor = std::get<Factor>(operand);
    if (factor.trainable && factor.initialiser.kind == Initialiser::Kind::constant &&
        factor.initialiser.value == 0)
      factor.initialiser = normal(1 / std::sqrt(static_cast<double>(factor.modes.back().size)));
  }
}

}  // namespace

// W' = a W / |W|_F + b dW / |dW|_F: the weight and its update as directions, each with a trainable
// length of its own. The scale of dW has no effect.
static void wrap(Declaration& declaration, const Site&, const MethodSettings& settings) {
  for (Term& term : declaration.stages.front().network.terms) draw_zero_factors(term.product);
  declaration.normalisation = {.kind = Normalisation::Kind::whole,
                               .detached = settings.text("norm") == "detached",
                               .magnitudes = {Factor{"a", {{"one", 1}}, constant(1)},
                                              Factor{"b", {{"one", 1}}, constant(0)}}};
  declaration.start = [before = declaration.start](Start& start) {
    if (before) before(start);
    double square = 0;
    for (const double value : start.weight()) square += value * value;
    start.set_factor("a", std::vector{std::sqrt(square)});
  };
}

Wrapper map_directions() {
  return {.name = "map",
          .summary = "lengths of the weight and of its update apart from their directions",
          .formula = "W' = a W / |W|_F + b dW / |dW|_F",
          .reference = "Si et al., MAP, arXiv 2505.23094",
          .options = {{"norm",
                       "graph",
                       {"graph", "detached"},
                       "differentiate |dW|, or take it for a constant"}},
          .wrap = wrap};
}

}  // namespace rankfold
