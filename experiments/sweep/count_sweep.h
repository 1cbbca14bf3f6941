#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/sweep/shape_store.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {

struct CountRow {
  PlannedRun run;
  ModelCount count;
  std::size_t adapted_layers = 0;
};

/// Counts every run, in order. Throws UsageError that names the run.
std::vector<CountRow> count_runs(const std::vector<PlannedRun>& runs, const Registry& registry,
                                 ShapeStore& store);

/// counts.csv: model, method, rank, targets, layers, then those of alpha, preset, train, labels and
/// <method>.<option> that the sweep names, matrices, adapted_layers, adapter, trainable.
std::string counts_csv(const std::vector<CountRow>& rows);

/// "lora rank 8 on roberta-base, targets q,v, lr 1e-3": a run for messages.
std::string describe(const PlannedRun& run);

}  // namespace rankfold
