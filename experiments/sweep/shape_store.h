#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include "core/adapter/method.h"
#include "experiments/models/shapes.h"
#include "experiments/sweep/counting.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {

/// Shapes and stacks that the runs of a sweep share: each is read and selected once.
class ShapeStore {
 public:
  /// Training needs model folders; counting takes built-in names as well, and so do dry runs for
  /// models that are no folders.
  explicit ShapeStore(SweepKind kind, bool dry_run = false) : kind_(kind), dry_run_(dry_run) {}

  /// Throws as find_shape or read_shape does.
  const ModelShape& shape(const std::string& model);
  /// Whether its folder's model can be asked in words (see tells_tokens).
  bool tells_tokens(const std::string& model);
  const SiteCatalogue& places(const std::string& model);
  /// Of a run, until the next call. Throws as select_sites does.
  const Stack& stack(const Method& method, const RunSettings& settings);
  ModelCount count(const Method& method, const PlannedRun& run);

 private:
  bool is_folder(const std::string& model) const;

  SweepKind kind_;
  bool dry_run_;
  std::map<std::string, ModelShape> shapes_;
  std::map<std::string, bool> tells_tokens_;
  std::map<std::string, SiteCatalogue> catalogues_;
  std::map<std::tuple<std::string, std::string, std::string>, Stack> stacks_;
  Stack virtual_stack_;  ///< of the last run by virtual tokens
};

/// The rank that choose_rank (core/adapter/rank_budget.h) finds for the budget; nothing where the
/// smallest has more parameters. For a method without a rank: "" where it fits.
std::optional<std::string> rank_within_budget(const Method& method, const PlannedRun& run,
                                              std::size_t budget, ShapeStore& store);

}  // namespace rankfold
