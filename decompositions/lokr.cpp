#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

/// dim = first * second with first <= second: the pair nearest to square whose first is at most
/// `factor`. Where `factor` divides dim it is a side itself: the smaller one for LyCORIS, the first
/// however large for PEFT.
std::pair<std::size_t, std::size_t> factorise(std::size_t dim, const MethodSettings& settings) {
  const bool chosen = settings.text("factor") != "-1";
  const std::size_t factor = chosen ? settings.count("factor") : dim;
  if (chosen && dim % factor == 0) {
    const std::size_t other = dim / factor;
    if (settings.text("sides") == "peft") return {factor, other};
    return {std::min(factor, other), std::max(factor, other)};
  }
  std::size_t first = 1;
  for (std::size_t side = 2; side <= factor && side * side <= dim; ++side)
    if (dim % side == 0) first = side;
  return {first, dim / first};
}

}  // namespace

// dW = (alpha / r) w1 (x) w2: dW[(o1, o2), (i1, i2)] = w1[o1, i1] w2[o2, i2], w2 (and with
// decompose-both w1) a low-rank product where the rank is below half its larger side. w1 starts at
// zero and its sides are as PEFT has them.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const auto [l, k] = factorise(site.out, settings);
  const auto [m, n] = factorise(site.in, settings);
  const Mode o1{"o1", l}, o2{"o2", k}, i1{"i1", m}, i2{"i2", n}, p{"p", settings.rank},
      q{"q", settings.rank};
  const auto spread = [](const Mode& fan_in) {
    return uniform(1 / std::sqrt(static_cast<double>(fan_in.size)));
  };
  const auto is_low = [&](std::size_t a, std::size_t b) {
    return 2 * settings.rank < std::max(a, b);
  };
  Term term{.scale = alpha_over_rank(settings, settings.rank), .product = {}};
  if (settings.flag("decompose-both") && is_low(l, m))
    term.product = {Factor{"w1_a", {o1, q}, zeros()}, Factor{"w1_b", {q, i1}, spread(i1)}};
  else
    term.product = {Factor{"w1", {o1, i1}, zeros()}};
  if (is_low(k, n)) {
    term.product.push_back(Factor{"w2_a", {o2, p}, spread(p)});
    term.product.push_back(Factor{"w2_b", {p, i2}, spread(i2)});
  } else {
    term.product.push_back(Factor{"w2", {o2, i2}, spread(i2)});
  }
  return weight_update({.out = {o1, o2}, .in = {i1, i2}, .terms = {std::move(term)}});
}

Method lokr() {
  return {.name = "lokr",
          .summary = "a Kronecker product, of low rank where that is smaller",
          .formula =
              "dW[(o1,o2),(i1,i2)] = alpha/r * w1[o1,i1] w2[o2,i2]; w2 = sum_p w2_a[o2,p] "
              "w2_b[p,i2] where 2 r < its larger side",
          .reference = "Yeh et al., LyCORIS, arXiv 2309.14859; huggingface/peft LOKR",
          .options =
              {{"factor", "-1", {}, "w1's side where it divides out and in; -1: nearest to square"},
               {"sides",
                "peft",
                {"peft", "lycoris"},
                "a factor above the root is w1's side (huggingface/peft), or w2's (LyCORIS)"},
               {"decompose-both", "false", {"false", "true"}, "w1 of low rank as well"},
               rslora_option()},
          .alpha = 8,
          .declare = declare};
}

}  // namespace rankfold
