#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / r) sum_p (sum_j c_B[j] B[j, out, p]) (sum_i c_A[i] A[i, p, in]): LoRA's
// factors as combinations of random, frozen bases, one set for the model, of which a site uses the
// leading rows and columns, so that weights of one shape share theirs. The bases follow from the
// seed and are in no file. B_j and A_i start as LoRA's factors do in PEFT; c_A keeps the
// variance, c_B is zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const LargestSides most(stack);
  const std::size_t bases = settings.count("bases");
  const Mode i{"i", bases}, j{"j", bases}, p{"p", settings.rank};
  const auto basis = [](const char* name, std::vector<Mode> modes, std::size_t fan_in) {
    return from_seed({name, std::move(modes), uniform(1 / std::sqrt(static_cast<double>(fan_in))),
                      Owner::model});
  };
  return weight_update(
      {.out = {{"out", site.out}},
       .in = {{"in", site.in}},
       .terms = {{.scale = alpha_over_rank(settings, settings.rank),
                  .product = {Factor{"c_B", {j}, zeros()},
                              basis("B", {j, {"out", most.out}, p}, settings.rank),
                              basis("A", {i, p, {"in", most.in}}, most.in),
                              Factor{
                                  "c_A", {i}, normal(1 / std::sqrt(static_cast<double>(bases)))}}}},
       .select = {{"out", 0, site.out}, {"in", 0, site.in}}});
}

Method nola() {
  return {
      .name = "nola",
      .summary = "LoRA's factors as combinations of shared random bases",
      .formula =
          "dW[out,in] = alpha/r * sum_p (sum_j c_B[j] B[j,out,p]) (sum_i c_A[i] A[i,p,in]); A, B "
          "frozen and shared",
      .reference = "Koohpayegani et al., NOLA, arXiv 2310.02556",
      .options = {rslora_option(),
                  {"bases", "64", {}, "the number k of random bases of each factor"}},
      .alpha = 8,
      .rank_limit = smallest_side,
      .declare = declare};
}

}  // namespace rankfold
