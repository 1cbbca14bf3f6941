#include <cmath>

#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// V = W + dW, W'[i, :] = magnitude[i] V[i, :] / |V[i, :]|: the rows of W' have trainable norms,
// which start as those of W. The paper takes the norm for a constant in the gradient (section 4.3).
static void wrap(Declaration& declaration, const Site& site, const MethodSettings& settings) {
  declaration.normalisation = {
      .kind = Normalisation::Kind::rows,
      .detached = settings.text("norm") == "detached",
      .magnitudes = {Factor{"magnitude", {{"out", site.out}}, constant(1)}}};
  declaration.start = [before = declaration.start](Start& start) {
    if (before) before(start);
    start.set_factor("magnitude", row_norms(start.weight(), start.site().out));
  };
}

Wrapper dora() {
  return {
      .name = "dora",
      .summary = "rows of the weight with trainable norms",
      .formula = "W'[i,:] = magnitude[i] V[i,:] / |V[i,:]|, V = W + dW",
      .reference = "Liu et al., DoRA, arXiv 2402.09353, section 4; NVlabs/DoRA, huggingface/peft",
      .options = {{"norm",
                   "detached",
                   {"detached", "graph"},
                   "take |V| for a constant in the gradient, as published, or not"}},
      .wrap = wrap};
}

}  // namespace rankfold
