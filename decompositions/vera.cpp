#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = lambda_b[out] sum_p B[out, p] lambda_d[p] A[p, in]: A and B are random, frozen and
// shared by the model; a site uses their leading rows and columns. lambda_b starts at zero.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const LargestSides most(stack);
  const Mode out{"out", most.out}, in{"in", most.in}, p{"p", settings.rank};
  const auto spread = [](std::size_t fan_in) {
    return uniform(std::sqrt(6 / static_cast<double>(fan_in)));
  };
  return weight_update(
      {.out = {{"out", site.out}},
       .in = {{"in", site.in}},
       .terms = {{.product = {Factor{"lambda_b", {{"out", site.out}}, zeros()},
                              Factor{"B", {out, p}, spread(settings.rank), Owner::model, false},
                              Factor{"lambda_d", {p}, constant(settings.number("d-initial"))},
                              Factor{"A", {p, in}, spread(most.in), Owner::model, false}}}},
       .select = {{"out", 0, site.out}, {"in", 0, site.in}}});
}

Method vera() {
  return {.name = "vera",
          .summary = "scaled rows and columns of one frozen random product",
          .formula =
              "dW[out,in] = lambda_b[out] sum_p B[out,p] lambda_d[p] A[p,in]; A, B frozen "
              "and shared",
          .reference = "Kopiczko et al., VeRA, arXiv 2310.11454; huggingface/peft VERA",
          .options = {{"d-initial", "0.1", {}, "where lambda_d starts"}},
          .alpha = 0,
          .declare = declare};
}

}  // namespace rankfold
