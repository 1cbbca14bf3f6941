#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// W' = W + T - T_0: T is a circuit of gates, one on every pair of the axes that the hidden size is
// split into, each gate[a', b', a, b] acting on two axes while the others pass; T_0 is its frozen
// start. Gates act in the order of pairs from the last axis on, as the authors' code has it.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  std::vector<std::size_t> axes = settings.shape("axes");
  if (axes.empty()) axes = balanced_axes(site.in);
  std::size_t product = 1;
  for (const std::size_t axis : axes) product *= axis;
  if (site.out != site.in || product != site.in || axes.size() < 2 || axes.size() > 4)
    throw UsageError(
        "[quanta] site {} is {}x{}, axes {}: expected a square weight and 2 to 4 axes "
        "whose product is its side",
        site.name, site.out, site.in, fmt::join(axes, ","));
  std::vector<std::size_t> passed(axes.size(), 0);  // gates that each axis went through
  const auto mode = [&](std::size_t axis) {
    return Mode{fmt::format("axis{}_{}", axis, passed[axis]), axes[axis]};
  };
  Network network;
  for (std::size_t axis = 0; axis < axes.size(); ++axis) network.in.push_back(mode(axis));
  Term circuit, start{.scale = -1, .product = {}};
  std::vector<std::string> gates;
  for (std::size_t b = axes.size(); b-- > 0;)
    for (std::size_t a = b; a-- > 0;) {
      const std::vector<Mode> before{mode(b), mode(a)};
      ++passed[a];
      ++passed[b];
      std::vector<Mode> modes{mode(b), mode(a)};
      modes.insert(modes.end(), before.begin(), before.end());
      const double bound = 1 / std::sqrt(static_cast<double>(axes[a] * axes[b]));
      gates.push_back(fmt::format("gate{}{}", a + 1, b + 1));
      circuit.product.push_back(Factor{gates.back(), modes, uniform(bound)});
      start.product.push_back(Factor{gates.back() + "_start", modes, zeros(), Owner::site, false});
    }
  for (std::size_t axis = 0; axis < axes.size(); ++axis) network.out.push_back(mode(axis));
  network.terms = {std::move(circuit), std::move(start)};
  Declaration declaration = weight_update(std::move(network));
  declaration.start = [gates](Start& begin) {
    for (const std::string& gate : gates) begin.set_factor(gate + "_start", begin.factor(gate));
  };
  return declaration;
}

Method quanta() {
  return {.name = "quanta",
          .summary = "a circuit of gates on pairs of axes, less its frozen start",
          .formula = "dW = T - T_0, T[out,in] = product over pairs of axes of gate_ab[a',b',a,b]",
          .reference = "Chen et al., QuanTA, arXiv 2406.00132; quanta-fine-tuning/quanta",
          .options = {{"axes", "", {}, "sizes that the hidden size splits into, e.g. 16,8,8,4"}},
          .has_rank = false,
          .alpha = 0,
          .declare = declare};
}

}  // namespace rankfold
