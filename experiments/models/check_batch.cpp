#include "experiments/models/check_batch.h"

#include <cmath>

#include "core/base/error.h"

namespace rankfold {
namespace {

void check_targets(const Batch& batch, const BatchLimits& limits) {
  if (batch.targets.size() != batch.tokens())
    throw Error("{}: the batch has {} targets for {} tokens", limits.model, batch.targets.size(),
                batch.tokens());
  std::size_t read = 0;
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      const std::int32_t target = batch.targets[t];
      if (target == Batch::left_out) continue;
      if (target < 0 || static_cast<std::size_t>(target) >= limits.vocabulary)
        throw Error("{}: target {}, expected 0 to {}, or {} for none", limits.model, target,
                    limits.vocabulary - 1, Batch::left_out);
      if (t > batch.starts[s]) ++read;
    }
  if (read == 0)
    throw Error("{}: the batch has no target behind a first token, expected at least one",
                limits.model);
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
