#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

/// The matrices of the option, whose inputs are scaled.
static std::vector<MatrixType> scaled_inputs(const MethodSettings& settings) {
  std::vector<MatrixType> types;
  const std::string& text = settings.text("feedforward");
  if (trim(text).empty()) return types;
  for (const std::string& part : split(text, ',')) {
    const auto type = find_matrix_type(trim(part));
    if (!type)
      throw UsageError("[ia3] feedforward is '{}', expected names of targets such as down",
                       printable(text, 80));
    types.push_back(*type);
  }
  return types;
}

// One vector a site, as a diagonal map less the identity: y = z + (diag(l) - 1) z with z = W x + b,
// or y = W (x + (diag(l) - 1) x) + b.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const std::vector<MatrixType> inputs = scaled_inputs(settings);
  const bool before = std::ranges::find(inputs, site.matrix) != inputs.end();
  const Mode side{"side", before ? site.in : site.out};
  const auto diagonal = [&](const char* name) { return Factor{name, {side}, constant(1)}; };
  return {before ? Place::before : Place::after,
          {{{.out = {side},
             .in = {side},
             .terms = {{.product = {diagonal("l")}},
                       {.scale = -1, .product = {from_seed(diagonal("one"))}}}}}}};
}

Method ia3() {
  return {.name = "ia3",
          .summary = "a learned scale of every key and value, and of every input of down",
          .formula = "k, v: y[out] = l[out] (W x + b)[out]; down: y = W (l * x) + b",
          .reference = "Liu et al., IA3, arXiv 2205.05638, section 3.3; huggingface/peft IA3",
          .options = {{"feedforward",
                       "down",
                       {},
                       "targets whose inputs are scaled, of others the outputs (PEFT's "
                       "feedforward_modules)"}},
          .has_rank = false,
          .alpha = 0,
          .default_targets = "k,v,down",
          .declare = declare};
}

}  // namespace rankfold
