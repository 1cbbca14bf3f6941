#include "experiments/sweep/shape_store.h"

#include <algorithm>

namespace rankfold {

const ModelShape& ShapeStore::shape(const std::string& model) {
  const auto found = shapes_.find(model);
  if (found != shapes_.end()) return found->second;
  return shapes_.emplace(model, kind_ == SweepKind::train ? read_shape(model) : find_shape(model))
      .first->second;
}

const Stack& ShapeStore::stack(const std::string& model, const std::string& targets,
                               const std::string& layers) {
  const std::tuple key(model, targets, layers);
  const auto found = stacks_.find(key);
  if (found != stacks_.end()) return found->second;
  auto places = catalogues_.find(model);
  if (places == catalogues_.end())
    places = catalogues_.emplace(model, catalogue(shape(model))).first;
  return stacks_.emplace(key, select_stack(places->second, targets, layers)).first->second;
}

ModelCount ShapeStore::count(const Method& method, const PlannedRun& run) {
  const std::string& model = run.settings.text("model");
  return count_stack(
      shape(model), method, run.settings, run.labels,
      stack(model, chosen_targets(run.settings, method), run.settings.text("layers")));
}

std::optional<std::size_t> rank_within_budget(const Method& method, const PlannedRun& run,
                                              std::size_t budget, ShapeStore& store) {
  // Beyond any rank that a method allows: resolve_settings knows no larger one.
  constexpr std::size_t largest_rank = 1'000'000;
  if (!method.has_rank)
    return store.count(method, run).adapter <= budget ? std::optional<std::size_t>(0)
                                                      : std::nullopt;
  const std::string& model = run.settings.text("model");
  const Stack& stack =
      store.stack(model, chosen_targets(run.settings, method), run.settings.text("layers"));
  const auto limit = method.rank_limit ? method.rank_limit(stack) : std::nullopt;
  const std::size_t most = std::min(limit.value_or(largest_rank), largest_rank);
  PlannedRun trial = run;
  const auto fits = [&](std::size_t rank) {
    trial.settings.values["rank"] = std::to_string(rank);
    return store.count(method, trial).adapter <= budget;
  };
  if (!fits(1)) return std::nullopt;
  std::size_t fitting = 1, next = 2;
  while (next <= most && fits(next)) {
    fitting = next;
    next *= 2;
  }
  std::size_t beyond = std::min(next, most + 1);
  while (beyond - fitting > 1) {
    const std::size_t middle = fitting + (beyond - fitting) / 2;
    (fits(middle) ? fitting : beyond) = middle;
  }
  return fitting;
}

}  // namespace rankfold
