#include <cmath>

#include "core/plugin.h"
#include "decompositions/common.h"

namespace {

using namespace rankfold;

// dW[out, in] = (alpha / r) sum_r B[out, r] A[r, in], A random and frozen, B zero at the start.
Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
  const double bound = 1 / std::sqrt(static_cast<double>(site.in));
  const Factor b{"B", {out, r}, zeros()};
  const Factor a{"A", {r, in}, uniform(bound), Owner::site, /*trainable=*/false};
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = alpha_over_rank(settings, settings.rank), .product = {b, a}}}});
}

Method lora_fa() {
  return {.name = "lora_fa",
          .summary = "a low-rank product whose inner factor is frozen",
          .formula = "dW[out,in] = alpha/r * sum_r B[out,r] A[r,in]; A frozen",
          .reference = "Zhang et al., LoRA-FA, arXiv 2308.03303",
          .options = {rslora_option()},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace

extern "C" int rankfold_plugin_version() {
  return rankfold::plugin_version();
}

extern "C" void rankfold_register(rankfold::Registry& registry) {
  registry.add(lora_fa());
}
