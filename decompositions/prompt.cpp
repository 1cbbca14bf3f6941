#include "core/base/error.h"
#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {

// Row t of the map [width, tokens] of unit vectors: the embedding P[t, :] of virtual token t.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  expect_virtual("prompt", site);
  if ((settings.text("init") == "text") == settings.text("init-text").empty())
    throw UsageError("[prompt] init is '{}' and init-text is {}, expected init=text with one",
                     settings.text("init"), settings.text("init-text").empty() ? "empty" : "given");
  const Mode width{"width", site.out}, token{"token", site.in};
  return weight_update({.out = {width},
                        .in = {token},
                        .terms = {{.product = {Factor{"P", {token, width}, normal(1)}}}}});
}

Method prompt() {
  return {
      .name = "prompt",
      .summary = "learned embeddings of virtual tokens before every sequence (prompt tuning)",
      .formula = "x = embed([P[1,:], ..., P[tokens,:], words[id_1], words[id_2], ...])",
      .reference = "Lester et al., Prompt Tuning, arXiv 2104.08691; huggingface/peft PromptTuning",
      .options = {{"tokens", "20", {}, "virtual tokens (PEFT's num_virtual_tokens)"},
                  {"init",
                   "random",
                   {"random", "text", "vocabulary"},
                   "how they start: N(0, 1), or in training as the embeddings of a text's "
                   "tokens, repeated or cut, or of tokens drawn from the vocabulary (PEFT's "
                   "prompt_tuning_init)"},
                  {"init-text", "", {}, "of init=text (PEFT's prompt_tuning_init_text)"}},
      .has_rank = false,
      .alpha = 0,
      .default_targets = "virtual_tokens",
      .entry = Entry::embeddings,
      .declare = declare};
}

}  // namespace rankfold
