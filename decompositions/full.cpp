#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = D[out, in]: every entry of the weight free, the reference that methods aim at.
static Declaration declare(const Site& site, const Stack&, const MethodSettings&) {
  const Mode out{"out", site.out}, in{"in", site.in};
  return weight_update(
      {.out = {out}, .in = {in}, .terms = {{.product = {Factor{"D", {out, in}, zeros()}}}}});
}

Method full() {
  return {.name = "full",
          .summary = "a dense update of every target weight (full fine-tuning of these matrices)",
          .formula = "dW[out,in] = D[out,in]",
          .reference = "reference point",
          .has_rank = false,
          .is_reference = true,
          .alpha = 0,
          .takes_everything = true,
          .declare = declare};
}

}  // namespace rankfold
