#include <algorithm>
#include <iterator>

#include "core/base/error.h"
#include "decompositions/registry.h"

namespace rankfold {

// y = W x + b + bias: what b moves by, at every site that has a b.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings&) {
  using enum Site::BiasRows;
  if (std::ranges::all_of(stack.sites, [](const Site& each) { return each.bias == none; }))
    throw UsageError("[bitfit] site {}: none of the targets has a bias, expected some that have",
                     site.name);
  if (site.bias == some)
    throw UsageError(
        "[bitfit] site {}: some of its parts have no bias; expected its parts as targets "
        "(q,k,v in place of in_proj)",
        site.name);
  if (site.bias == none) return {};
  const Mode out{"out", site.out}, in{"in", site.in};
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.product = {Factor{"bias", {out}, zeros()}}, .constant = true}}});
}

static std::vector<std::string> notes(const Stack& stack, const MethodSettings&) {
  const auto left = std::ranges::count(stack.sites, Site::BiasRows::none, &Site::bias);
  if (left == 0 || left == std::ssize(stack.sites)) return {};
  return {fmt::format("[bitfit] {} of {} matrices have no bias and stay as they are", left,
                      stack.sites.size())};
}

Method bitfit() {
  return {.name = "bitfit",
          .summary = "every bias: those of the target weights and the shifts of all norms",
          .formula = "y[out] = (W x + b)[out] + bias[out]; norms: their shifts",
          .reference = "Ben Zaken et al., BitFit, arXiv 2106.10199",
          .has_rank = false,
          .alpha = 0,
          .default_targets = "all",
          .trained_part = "norm-shifts",
          .declare = declare,
          .notes = notes};
}

}  // namespace rankfold
