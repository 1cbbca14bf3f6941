#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// Of a layer: row t of the map [width, tokens] of unit vectors is the key K[t, :], or the value
// V[t, :], of virtual token t.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  expect_virtual("prefix", site);
  const Mode width{"width", site.out}, token{"token", site.in};
  const Initialiser start = settings.text("init") == "zero" ? zeros() : normal(1);
  const char* const name = site.matrix == MatrixType::prefix_v ? "V" : "K";
  return weight_update({.out = {width},
                        .in = {token},
                        .terms = {{.product = {Factor{name, {token, width}, start}}}}});
}

Method prefix() {
  return {
      .name = "prefix",
      .summary = "learned keys and values of virtual tokens in every layer (prefix tuning)",
      .formula = "attention(q, [K; k], [V; v]) with K[tokens,width], V[tokens,width] of a layer",
      .reference =
          "Li and Liang, Prefix-Tuning, arXiv 2101.00190; huggingface/peft "
          "PrefixTuning without prefix_projection",
      .options = {{"tokens", "20", {}, "virtual tokens (PEFT's num_virtual_tokens)"},
                  {"init",
                   "random",
                   {"random", "zero"},
                   "how keys and values start: N(0, 1), or zeros (PEFT's init_weights)"}},
      .has_rank = false,
      .alpha = 0,
      .default_targets = "prefix_k,prefix_v",
      .entry = Entry::keys_and_values,
      .declare = declare};
}

}  // namespace rankfold
