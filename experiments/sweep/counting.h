#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/adapter/method.h"
#include "experiments/models/shapes.h"
#include "experiments/runs/settings.h"

namespace rankfold {

struct ModelCount {
  std::size_t rank = 0;  ///< 0 where the method has none
  std::string targets;   ///< in canonical order, or "adapters"
  std::size_t matrices = 0;
  std::size_t adapter = 0, trainable = 0;
  std::vector<FactorCount> factors;
  std::vector<std::string> notes;  ///< of Method::notes; left empty by count_stack
};

/// The sites of a run on a shape. Throws as select_sites does.
Stack chosen_stack(const ModelShape& shape, const Method& method, const RunSettings& settings);

/// Trainable numbers of a method on a model with `labels` outputs, from shapes alone. Of `settings`
/// it reads rank, alpha, preset, options, targets, layers and train. Throws UsageError for what
/// does not fit: targets, layers, rank, options, trained parts. tt-head has the rank of the method,
/// or 5 where it has none.
ModelCount count_model(const ModelShape& shape, const Method& method, const RunSettings& settings,
                       std::size_t labels);

/// The same for a stack that was selected before (sweeps ask the same one many times).
ModelCount count_stack(const ModelShape& shape, const Method& method, const RunSettings& settings,
                       std::size_t labels, const Stack& stack);

}  // namespace rankfold
