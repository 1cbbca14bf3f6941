#include <cmath>

#include "decompositions/common.h"
#include "decompositions/lora_starts.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / r) sum_r B[out, r] A[r, in], a pair for every site, B zero at the start.
// A starts uniform with variance 1 / (3 in), as PEFT and loralib draw it; LoTR's repository stores
// A as (in, r), so that its fan-in is the rank and the bound 1 / sqrt(r). PiSSA starts at the
// weight's leading singular part, B = U_r sqrt(s_r / scale), A = sqrt(s_r / scale) V_r^T; OLoRA at
// that of its QR factorisation, B = Q_r, A = R_r; LoRA-GA at that of the loss's gradient by W, A =
// c V_{1..r}^T, B = c U_{r+1..2r}, c = out^(1/4) / sqrt(gamma), gamma = 16 (its stable scale); all
// three take that start off again, so that W' = W at first. EVA draws nothing: A's rows are the
// leading directions of the site's inputs.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
  const std::string& init = settings.text("init");
  const auto fan_in = static_cast<double>(init == "fan-in-rank" ? settings.rank : site.in);
  const double scale = alpha_over_rank(settings, settings.rank);
  const bool follows = init == "pissa" || init == "olora" || init == "svd-of-gradient";
  const Initialiser spread = follows || init == "eva" ? zeros()
                             : init == "orthogonal"   ? orthogonal()
                                                      : uniform(1 / std::sqrt(fan_in));
  Declaration declaration = weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = scale,
                  .product = {Factor{"B", {out, r}, zeros()}, Factor{"A", {r, in}, spread}}}}});
  if (init == "eva") {
    declaration.samples = StartSamples::inputs;
    declaration.start = [rank = settings.rank](Start& start) {
      start.set_factor("A", leading_inputs(start, rank));
    };
  }
  if (!follows) return declaration;
  declaration.stages.front().network.terms.push_back(
      {.scale = -scale,
       .product = {Factor{"B_start", {out, r}, zeros(), Owner::site, false},
                   Factor{"A_start", {r, in}, zeros(), Owner::site, false}}});
  if (init == "svd-of-gradient") declaration.samples = StartSamples::gradient;
  declaration.start = [scale, init, rank = settings.rank](Start& start) {
    const LoraPair pair = init == "pissa"   ? weight_part(start, rank, scale)
                          : init == "olora" ? orthonormal_part(start, rank)
                                            : gradient_part(start, rank);
    for (const char* name : {"B", "B_start"}) start.set_factor(name, pair.b);
    for (const char* name : {"A", "A_start"}) start.set_factor(name, pair.a);
  };
  return declaration;
}

Method lora() {
  return {.name = "lora",
          .summary = "one low-rank product a matrix",
          .formula = "dW[out,in] = alpha/r * sum_r B[out,r] A[r,in]",
          .reference =
              "Hu et al., LoRA, arXiv 2106.09685, section 4; init=pissa: Meng et al., PiSSA, "
              "arXiv 2404.02948; init=olora: Büyükakyüz, OLoRA, arXiv 2406.01775; "
              "init=svd-of-gradient: Wang et al., LoRA-GA, arXiv 2407.05000; "
              "init=eva: Paischer et al., EVA, arXiv 2410.07170, without redistribution of ranks",
          .options = {rslora_option(),
                      {"init",
                       "published",
                       {"published", "fan-in-rank", "orthogonal", "pissa", "olora",
                        "svd-of-gradient", "eva"},
                       "A ~ U(+-1/sqrt(in)); U(+-1/sqrt(rank)) as LoTR's repository draws it; "
                       "orthonormal rows; A and B from singular vectors of the weight, from its QR "
                       "factorisation, or from singular vectors of the loss's gradient by it; A "
                       "from those of the site's inputs"}},
          .presets = {{"peft", "huggingface/peft, LoraConfig", {{"alpha", "8"}}},
                      {"lotr-repository",
                       "daskol/lotr, lotr/lora.py",
                       {{"alpha", "1"}, {"init", "fan-in-rank"}}}},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
