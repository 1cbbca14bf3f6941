#include "experiments/sweep/shape_store.h"

#include <filesystem>

#include "core/adapter/rank_budget.h"
#include "experiments/models/families/family.h"
#include "experiments/models/host.h"

namespace rankfold {

bool ShapeStore::is_folder(const std::string& model) const {
  if (kind_ != SweepKind::train || !dry_run_) return kind_ == SweepKind::train;
  std::error_code failure;
  return std::filesystem::is_directory(model, failure);
}

const ModelShape& ShapeStore::shape(const std::string& model) {
  const auto found = shapes_.find(model);
  if (found != shapes_.end()) return found->second;
  return shapes_.emplace(model, is_folder(model) ? read_shape(model) : find_shape(model))
      .first->second;
}

bool ShapeStore::tells_tokens(const std::string& model) {
  const auto found = tells_tokens_.find(model);
  if (found != tells_tokens_.end()) return found->second;
  const bool tells =
      is_folder(model) ? rankfold::tells_tokens(model) : family_of(shape(model)).tells_tokens;
  return tells_tokens_.emplace(model, tells).first->second;
}

const SiteCatalogue& ShapeStore::places(const std::string& model) {
  const auto found = catalogues_.find(model);
  if (found != catalogues_.end()) return found->second;
  return catalogues_.emplace(model, catalogue(shape(model))).first->second;
}

const Stack& ShapeStore::stack(const Method& method, const RunSettings& settings) {
  const std::string &model = settings.text("model"), &layers = settings.text("layers");
  const std::string targets = chosen_targets(settings, method, places(model));
  if (method.entry != Entry::weights)
    return virtual_stack_ =
               select_sites(method, places(model), targets, layers, method_request(settings));
  const std::tuple key(model, targets, layers);
  const auto found = stacks_.find(key);
  if (found != stacks_.end()) return found->second;
  return stacks_.emplace(key, select_stack(places(model), targets, layers)).first->second;
}

ModelCount ShapeStore::count(const Method& method, const PlannedRun& run) {
  return count_stack(shape(run.settings.text("model")), method, run.settings, run.labels,
                     stack(method, run.settings));
}

std::optional<std::string> rank_within_budget(const Method& method, const PlannedRun& run,
                                              std::size_t budget, ShapeStore& store) {
  const Stack& stack = store.stack(method, run.settings);
  const BudgetedRank chosen = choose_rank(method, method_request(run.settings), stack, budget);
  return chosen.fits ? std::optional(chosen.rank) : std::nullopt;
}

}  // namespace rankfold
