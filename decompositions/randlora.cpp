#include <algorithm>
#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW = (alpha / r) sum_{p, n} B[long, p, n] lambda[p, n] A[p, short] gamma[n, short], with the
// shorter side of the weight for `short`: random frozen bases, n = short / r of them for a full
// rank, scaled by trainable diagonals. PEFT stores B as (long, n, p) and reads the same memory as
// (long, p, n). lambda starts at zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  // As PEFT sizes the shared bases: where some weights are tall and some wide, both sides are long.
  const LargestSides most(stack);
  const std::size_t most_long = std::max(most.out, most.in),
                    most_short = std::min(most.out, most.in);
  const auto bases = [&](std::size_t side) { return (side + settings.rank - 1) / settings.rank; };
  const auto spread = [](std::size_t fan_in) {
    return uniform(1 / std::sqrt(static_cast<double>(fan_in)));
  };
  const bool short_in = site.in <= site.out;
  const std::size_t short_side = std::min(site.out, site.in), count = bases(short_side);
  const Mode p{"p", settings.rank}, n{"n", count}, long_mode{"long", std::max(site.out, site.in)},
      short_mode{"short", short_side}, stored_n{"stored_n", bases(most_short)},
      stored_p{"stored_p", settings.rank};
  const Block basis{.product = {Factor{"B",
                                       {{"long", most_long}, stored_n, stored_p},
                                       spread(settings.rank),
                                       Owner::model,
                                       false}},
                    .modes = {long_mode, {"stored_n", count}, stored_p},
                    .as = {long_mode, p, n}};
  return weight_update(
      {.out = {short_in ? long_mode : short_mode},
       .in = {short_in ? short_mode : long_mode},
       .terms =
           {{.scale = alpha_over_rank(settings, settings.rank),
             .product =
                 {basis, Factor{"lambda", {p, n}, zeros()},
                  Factor{"A", {p, {"short", most_short}}, spread(most_short), Owner::model, false},
                  Factor{
                      "gamma", {n, short_mode}, constant(1 / static_cast<double>(short_side))}}}},
       .select = {{"long", 0, long_mode.size}, {"short", 0, short_side}, {"stored_n", 0, count}}});
}

Method randlora() {
  return {.name = "randlora",
          .summary = "random frozen bases of full rank, scaled by diagonals",
          .formula =
              "dW = alpha/r * sum_{p,n} B[long,p,n] lambda[p,n] A[p,short] gamma[n,short]; A, B "
              "frozen and shared",
          .reference = "Albert et al., RandLoRA, arXiv 2502.00987; huggingface/peft RANDLORA",
          .options = {rslora_option()},
          .alpha = 640,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
