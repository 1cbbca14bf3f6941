#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / r) sum_pq B[out, p] R[p, q] A[q, in]: B = U_r diag(s_r) and A = V_r^T come
// from the frozen weight's leading singular vectors and stay; R starts at N(0, 1e-5).
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, p{"p", settings.rank}, q{"q", settings.rank};
  Declaration declaration =
      weight_update({.out = {out},
                     .in = {in},
                     .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                                .product = {Factor{"B", {out, p}, zeros(), Owner::site, false},
                                            Factor{"R", {p, q}, normal(1e-5)},
                                            Factor{"A", {q, in}, zeros(), Owner::site, false}}}}});
  declaration.start = [rank = settings.rank](Start& start) {
    const SingularPart part = leading_part(start, rank);
    start.set_factor("B", part.left);
    start.set_factor("A", part.right);
  };
  return declaration;
}

Method lora_xs() {
  return {.name = "lora_xs",
          .summary = "a small matrix between frozen singular vectors of the weight",
          .formula =
              "dW[out,in] = alpha/r * sum_pq B[out,p] R[p,q] A[q,in]; B = U_r diag(s_r), A = "
              "V_r^T of W, frozen",
          .reference = "Balazy et al., LoRA-XS, arXiv 2405.17604",
          .options = {rslora_option()},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
