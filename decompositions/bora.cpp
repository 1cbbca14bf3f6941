#include <cmath>

#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// V = W + dW, H[i, :] = m_row[i] V[i, :] / |V[i, :]|, W'[:, j] = m_col[j] H[:, j] / |H[:, j]|:
// first the rows, then the columns get trainable norms, which start as those of W. Which of its
// norms the paper takes for constants is not known; the code of Stability AI takes none.
static void wrap(Declaration& declaration, const Site& site, const MethodSettings& settings) {
  declaration.normalisation = {.kind = Normalisation::Kind::rows_then_columns,
                               .detached = settings.text("norm") == "detached",
                               .magnitudes = {Factor{"m_row", {{"out", site.out}}, constant(1)},
                                              Factor{"m_col", {{"in", site.in}}, constant(1)}}};
  declaration.start = [before = declaration.start](Start& start) {
    if (before) before(start);
    const std::vector<double> weight = start.weight();
    start.set_factor("m_row", row_norms(weight, start.site().out));
    start.set_factor("m_col", column_norms(weight, start.site().out));
  };
}

Wrapper bora() {
  return {.name = "bora",
          .summary = "rows and columns of the weight with trainable norms",
          .formula =
              "W'[:,j] = m_col[j] H[:,j] / |H[:,j]|, H[i,:] = m_row[i] V[i,:] / |V[i,:]|, V = W "
              "+ dW",
          .reference = "Wang et al., BoRA, arXiv 2412.06441; Stability-AI/stable-audio-3",
          .options = {{"norm",
                       "graph",
                       {"graph", "detached"},
                       "differentiate the norms, or take them for constants"}},
          .wrap = wrap};
}

}  // namespace rankfold
