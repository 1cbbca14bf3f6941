#include "experiments/sweep/counting.h"

#include "core/base/error.h"
#include "experiments/models/trained_parts.h"

namespace rankfold {
namespace {

std::string canonical_targets(const std::string& targets, const Stack& stack) {
  if (targets == "adapters" || targets == everything || is_module_pattern(targets)) return targets;
  std::string joined;
  for (const MatrixType type : stack.matrices) {
    if (!joined.empty()) joined += ',';
    joined += to_string(type);
  }
  return joined;
}

/// All weights of the network below the head; of a language model with an output layer of its own,
/// that too.
Count count_of_everything(const ModelShape& shape, bool tells_tokens) {
  const std::size_t output =
      tells_tokens && !shape.tied_output ? shape.vocabulary * shape.hidden : 0;
  const std::size_t weights = parameters_below_head(shape) + output;
  return {weights, {{"weights", {weights}, 1}}};
}

}  // namespace

Stack chosen_stack(const ModelShape& shape, const Method& method, const RunSettings& settings) {
  const SiteCatalogue places = catalogue(shape);
  return select_sites(method, places, chosen_targets(settings, method, places),
                      settings.text("layers"), method_request(settings));
}

ModelCount count_stack(const ModelShape& shape, const Method& method, const RunSettings& settings,
                       std::size_t labels, const Stack& stack) {
  const MethodSettings resolved = resolve_settings(method, method_request(settings), stack);
  Count counted = count_parameters(method, stack, resolved);
  ModelCount result;
  result.rank = resolved.rank;
  result.targets = canonical_targets(chosen_targets(settings, method, SiteCatalogue{}), stack);
  result.matrices = stack.sites.size();
  check_everything(settings);
  if (result.targets == everything) counted = count_of_everything(shape, settings.asks_in_words());
  result.adapter = counted.trainable;
  result.trainable =
      counted.trainable +
      trained_part_parameters(shape, all_trained_parts(settings.text("train"), method), labels,
                              tensor_train_head_rank(settings.text("rank")));
  result.factors = std::move(counted.factors);
  return result;
}

ModelCount count_model(const ModelShape& shape, const Method& method, const RunSettings& settings,
                       std::size_t labels) {
  const Stack stack = chosen_stack(shape, method, settings);
  ModelCount count = count_stack(shape, method, settings, labels, stack);
  if (method.notes)
    count.notes = method.notes(stack, resolve_settings(method, method_request(settings), stack));
  return count;
}

}  // namespace rankfold
