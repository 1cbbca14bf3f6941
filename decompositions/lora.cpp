#include <cmath>

#include "core/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / r) sum_r B[out, r] A[r, in], a pair for every site, B zero at the start.
// A starts uniform with variance 1 / (3 in), as PEFT and loralib draw it; LoTR's repository stores
// A as (in, r), so that its fan-in is the rank and the bound 1 / sqrt(r). PiSSA starts at the
// weight's leading singular part, B = U_r sqrt(s_r / scale), A = sqrt(s_r / scale) V_r^T, and takes
// that start off again, so that W' = W at first.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
  const std::string& init = settings.text("init");
  const auto fan_in = static_cast<double>(init == "fan-in-rank" ? settings.rank : site.in);
  const double scale = alpha_over_rank(settings, settings.rank);
  const Initialiser spread = init == "pissa"        ? zeros()
                             : init == "orthogonal" ? orthogonal()
                                                    : uniform(1 / std::sqrt(fan_in));
  Declaration declaration = weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = scale,
                  .product = {Factor{"B", {out, r}, zeros()}, Factor{"A", {r, in}, spread}}}}});
  if (init != "pissa") return declaration;
  declaration.stages.front().network.terms.push_back(
      {.scale = -scale,
       .product = {Factor{"B_start", {out, r}, zeros(), Owner::site, false},
                   Factor{"A_start", {r, in}, zeros(), Owner::site, false}}});
  declaration.start = [scale, rank = settings.rank](Start& start) {
    SingularPart part = leading_part(start, rank);
    for (std::size_t p = 0; p < rank; ++p) {
      const double root = std::sqrt(part.values[p] / scale);
      for (std::size_t i = p; i < part.left.size(); i += rank)
        part.left[i] *= part.values[p] > 0 ? root / part.values[p] : 0;
      const std::size_t width = part.right.size() / rank;
      for (std::size_t j = p * width; j < (p + 1) * width; ++j) part.right[j] *= root;
    }
    for (const char* name : {"B", "B_start"}) start.set_factor(name, part.left);
    for (const char* name : {"A", "A_start"}) start.set_factor(name, part.right);
  };
  return declaration;
}

Method lora() {
  return {.name = "lora",
          .summary = "one low-rank product a matrix",
          .formula = "dW[out,in] = alpha/r * sum_r B[out,r] A[r,in]",
          .reference =
              "Hu et al., LoRA, arXiv 2106.09685, section 4; init=pissa: Meng et al., PiSSA, "
              "arXiv 2404.02948",
          .options = {rslora_option(),
                      {"init",
                       "published",
                       {"published", "fan-in-rank", "orthogonal", "pissa"},
                       "A ~ U(+-1/sqrt(in)); U(+-1/sqrt(rank)) as LoTR's repository draws it; "
                       "orthonormal rows; or A and B from the weight's singular vectors"}},
          .presets = {{"peft", "huggingface/peft, LoraConfig", {{"alpha", "8"}}},
                      {"lotr-repository",
                       "daskol/lotr, lotr/lora.py",
                       {{"alpha", "1"}, {"init", "fan-in-rank"}}}},
          .alpha = 8,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
