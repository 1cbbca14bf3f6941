#include "experiments/models/check_batch.h"

#include <cmath>

#include "core/base/error.h"

namespace rankfold {
namespace {

void check_options(const Batch& batch, const BatchLimits& limits, std::size_t answers) {
  const std::vector<std::size_t>& options = batch.options;
  if (options.front() != 0 || options.back() != answers)
    throw Error("{}: the batch has options {} to {}, expected 0 to {}, its answers", limits.model,
                options.front(), options.back(), answers);
  if (batch.labels.size() + 1 != options.size())
    throw Error("{}: the batch has {} labels for {} examples with options", limits.model,
                batch.labels.size(), options.size() - 1);
  for (std::size_t g = 0; g + 1 < options.size(); ++g) {
    if (options[g + 1] <= options[g])
      throw Error("{}: example {} has options {} to {}, expected at least one", limits.model, g,
                  options[g], options[g + 1]);
    const float label = batch.labels[g], count = static_cast<float>(options[g + 1] - options[g]);
    if (!(label >= 0 && label < count) || label != std::floor(label))
      throw Error("{}: label {} of example {}, expected an option from 0 to {}", limits.model,
                  label, g, count - 1);
  }
}

void check_targets(const Batch& batch, const BatchLimits& limits) {
  if (batch.targets.size() != batch.tokens())
    throw Error("{}: the batch has {} targets for {} tokens", limits.model, batch.targets.size(),
                batch.tokens());
  std::size_t answers = 0;
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    bool read = false;
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      const std::int32_t target = batch.targets[t];
      if (target == Batch::left_out) continue;
      if (target < 0 || static_cast<std::size_t>(target) >= limits.vocabulary)
        throw Error("{}: target {}, expected 0 to {}, or {} for none", limits.model, target,
                    limits.vocabulary - 1, Batch::left_out);
      read = read || batch.token_before(s, t);
    }
    if (read) ++answers;
  }
  if (answers == 0)
    throw Error("{}: the batch has no target behind a first token, expected at least one",
                limits.model);
  if (!batch.options.empty()) check_options(batch, limits, answers);
}

void check_prefixes(const Batch& batch, const BatchLimits& limits) {
  if (batch.prefixes.size() != batch.sequences() || !limits.tells_tokens)
    throw Error("{}: the batch has {} prefixes for {} sequences, expected {}", limits.model,
                batch.prefixes.size(), batch.sequences(),
                limits.tells_tokens ? "one a sequence" : "none");
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    if (!has_prefix(batch.prefixes, s)) continue;
    const std::size_t prefix = batch.prefixes[s];
    if (prefix >= s || has_prefix(batch.prefixes, prefix))
      throw Error(
          "{}: sequence {} goes on from sequence {}, expected an earlier one without prefix",
          limits.model, s, prefix);
    const std::size_t tokens = batch.prefix_tokens(s) + batch.starts[s + 1] - batch.starts[s];
    if (tokens > limits.positions)
      throw Error("{}: sequence {} has {} tokens with its prefix, expected at most {}",
                  limits.model, s, tokens, limits.positions);
  }
}

}  // namespace

void check_batch(const Batch& batch, const BatchLimits& limits, bool with_labels) {
  const std::string& model = limits.model;
  const std::size_t sequences = batch.sequences(), tokens = batch.tokens();
  if (sequences == 0 || batch.starts.front() != 0 || batch.starts.back() != tokens)
    throw Error("{}: the batch has {} tokens, expected its starts to go from 0 to that", model,
                tokens);
  if (limits.types > 0 && batch.type_ids.size() != tokens)
    throw Error("{}: the batch has {} token types for {} tokens", model, batch.type_ids.size(),
                tokens);
  for (std::size_t s = 0; s < sequences; ++s)
    if (batch.starts[s + 1] <= batch.starts[s] ||
        batch.starts[s + 1] - batch.starts[s] > limits.positions)
      throw Error("{}: sequence {} of the batch goes from token {} to {}, expected 1 to {} tokens",
                  model, s, batch.starts[s], batch.starts[s + 1], limits.positions);
  if (!batch.prefixes.empty()) check_prefixes(batch, limits);
  for (std::size_t t = 0; t < tokens; ++t) {
    if (batch.ids[t] < 0 || static_cast<std::size_t>(batch.ids[t]) >= limits.vocabulary)
      throw Error("{}: token id {}, expected 0 to {} (does the tokenizer belong to this model?)",
                  model, batch.ids[t], limits.vocabulary - 1);
    if (limits.types > 0 &&
        (batch.type_ids[t] < 0 || static_cast<std::size_t>(batch.type_ids[t]) >= limits.types))
      throw Error("{}: token type {}, expected 0 to {}", model, batch.type_ids[t],
                  limits.types - 1);
  }
  if (!with_labels) return;
  if (limits.tells_tokens) return check_targets(batch, limits);
  if (batch.labels.size() != sequences)
    throw Error("{}: the batch has {} labels for {} sequences", model, batch.labels.size(),
                sequences);
  for (const float label : batch.labels)
    if (!std::isfinite(label) ||
        (!limits.regression &&
         (label < 0 || label != std::floor(label) || label >= static_cast<float>(limits.labels))))
      throw Error("{}: label {}, expected {}", model, label,
                  limits.regression ? "a finite number"
                                    : fmt::format("a class from 0 to {}", limits.labels - 1));
}

}  // namespace rankfold
