#include <algorithm>
#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW = (alpha / r) sum_{n, p} B[long, n, p] lambda[p, n] A[p, short] gamma[n, short], with the
// shorter side of the weight for `short`: random frozen bases, enough of them (n = short / r) for a
// full rank, scaled by trainable diagonals. lambda starts at zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  std::size_t most_long = 0, most_short = 0, most_bases = 0;
  const auto bases = [&](std::size_t side) { return (side + settings.rank - 1) / settings.rank; };
  for (const Site& each : stack.sites) {
    most_long = std::max({most_long, each.out, each.in});
    most_short = std::max(most_short, std::min(each.out, each.in));
  }
  most_bases = bases(most_short);
  const bool short_in = site.in <= site.out;
  const std::size_t long_side = std::max(site.out, site.in),
                    short_side = std::min(site.out, site.in), count = bases(short_side);
  const Mode p{"p", settings.rank};
  const auto spread = [](std::size_t fan_in) {
    return uniform(1 / std::sqrt(static_cast<double>(fan_in)));
  };
  const Mode own_long{"long", long_side}, own_short{"short", short_side};
  return weight_update(
      {.out = {short_in ? own_long : own_short},
       .in = {short_in ? own_short : own_long},
       .terms =
           {{.scale = alpha_over_rank(settings, settings.rank),
             .product =
                 {Factor{"B",
                         {{"long", most_long}, {"n", most_bases}, p},
                         spread(settings.rank),
                         Owner::model,
                         false},
                  Factor{"lambda", {p, {"n", count}}, zeros()},
                  Factor{"A", {p, {"short", most_short}}, spread(most_short), Owner::model, false},
                  Factor{"gamma",
                         {{"n", count}, own_short},
                         constant(1 / static_cast<double>(short_side))}}}},
       .select = {{"long", 0, long_side}, {"short", 0, short_side}, {"n", 0, count}}});
}

Method randlora() {
  return {.name = "randlora",
          .summary = "random frozen bases of full rank, scaled by diagonals",
          .formula =
              "dW = alpha/r * sum_{n,p} B[long,n,p] lambda[p,n] A[p,short] gamma[n,short]; A, B "
              "frozen and shared",
          .reference = "Albert et al., RandLoRA, arXiv 2502.00987; huggingface/peft RANDLORA",
          .options = {rslora_option()},
          .alpha = 640,
          .rank_limit = smallest_side,
          .declare = declare};
}

}  // namespace rankfold
