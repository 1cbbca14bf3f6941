#include "experiments/sweep/shape_store.h"

#include "core/adapter/rank_budget.h"

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

std::optional<std::string> rank_within_budget(const Method& method, const PlannedRun& run,
                                              std::size_t budget, ShapeStore& store) {
  const Stack& stack = store.stack(run.settings.text("model"), chosen_targets(run.settings, method),
                                   run.settings.text("layers"));
  const BudgetedRank chosen = choose_rank(method, method_request(run.settings), stack, budget);
  return chosen.fits ? std::optional(chosen.rank) : std::nullopt;
}

}  // namespace rankfold
