#include "core/base/error.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = sum_pq U[out, p] S[p, q] V[in, q]. U and V start with random orthonormal columns
// and S = 0, so that W' = W at first, where the paper draws all three: it trains W itself, not a
// change of it. There is no alpha: an update's scale would only be one of its learning rate, and
// alpha / r would change the weights whenever the rank adapts.
static double tolerance(const MethodSettings& settings) {
  const double tau = settings.number("tau");
  if (!(tau >= 0 && tau < 1))
    throw UsageError("[dlrt] tau is {}, expected a number from 0 to below 1", settings.text("tau"));
  return tau;
}

static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  tolerance(settings);
  const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank}, q{"q", settings.rank};
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.product = {Factor{"U", {out, p}, orthogonal()}, Factor{"S", {p, q}, zeros()},
                              Factor{"V", {in, q}, orthogonal()}}}}});
}

Method dlrt() {
  return {.name = "dlrt",
          .summary = "orthonormal bases and a core whose rank adapts at every step of training",
          .formula = "dW[out,in] = sum_pq U[out,p] S[p,q] V[in,q]; K, L, S steps, rank by tau",
          .reference = "Schotthoefer et al., DLRT, arXiv 2205.13571, algorithm 1",
          .options = {{"tau",
                       "0.1",
                       {},
                       "every step cuts off singular values of together this share of |S|_F"}},
          .alpha = 0,
          .rank_limit = smallest_side,
          .declare = declare,
          .truncation = tolerance};
}

}  // namespace rankfold
