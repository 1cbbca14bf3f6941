#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / r) sum_r B[out, r] A[r, in], a pair for every site.
// A starts uniform with variance 1 / (3 in), as PEFT and loralib draw it; LoTR's repository stores
// A as (in, r), so that its fan-in is the rank and the bound 1 / sqrt(r).
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
  const bool fan_in_is_rank = settings.text("init") == "fan-in-rank";
  const auto fan_in = static_cast<double>(fan_in_is_rank ? settings.rank : site.in);
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                  .product = {Factor{"B", {out, r}, zeros()},
                              Factor{"A", {r, in}, uniform(1 / std::sqrt(fan_in))}}}}});
}

Method lora() {
  return {.name = "lora",
          .summary = "one low-rank product a matrix",
          .formula = "dW[out,in] = alpha/r * sum_r B[out,r] A[r,in]",
          .reference = "Hu et al., LoRA, arXiv 2106.09685, section 4",
          .options = {rslora_option(),
                      {"init",
                       "fan-in",
                       {"fan-in", "fan-in-rank"},
                       "A ~ U(+-1/sqrt(in)), or U(+-1/sqrt(rank)) as LoTR's repository draws it"}},
          .presets = {{"peft", "huggingface/peft, LoraConfig", {{"alpha", "8"}}},
                      {"lotr-repository",
                       "daskol/lotr, lotr/lora.py",
                       {{"alpha", "1"}, {"init", "fan-in-rank"}}}},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
