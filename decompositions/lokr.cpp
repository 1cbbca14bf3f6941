#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

/// dim = first * second with first <= second: the pair nearest to square whose first is at most
/// `factor`, or with `factor` as a side where it divides dim (LyCORIS, factorization).
std::pair<std::size_t, std::size_t> factorise(std::size_t dim, const MethodSettings& settings) {
  const std::size_t factor = settings.text("factor") == "-1" ? dim : settings.count("factor");
  if (factor != dim && dim % factor == 0)
    return {std::min(factor, dim / factor), std::max(factor, dim / factor)};
  std::size_t first = 1;
  for (std::size_t side = 2; side <= factor && side * side <= dim; ++side)
    if (dim % side == 0) first = side;
  return {first, dim / first};
}

}  // namespace

// dW = (alpha / r) w1 (x) w2: dW[(o1, o2), (i1, i2)] = w1[o1, i1] w2[o2, i2], w2 (and with
// decompose-both w1) a low-rank product where the rank is below half its larger side. w1 starts at
// zero, as PEFT has it.
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
          .options = {{"factor", "-1", {}, "the smaller side's split; -1: nearest to square"},
                      {"decompose-both", "false", {"false", "true"}, "w1 of low rank as well"},
                      rslora_option()},
          .alpha = 8,
          .declare = declare};
}

}  // namespace rankfold
