#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "experiments/bench/skipped_method.h"

namespace rankfold {

/// `sites` square layers of `width`, each in a layer of its own, that read the same X[tokens,
/// width].
struct LayerRequest {
  std::size_t width = 0, tokens = 0;
  std::size_t sites = 1;
  std::string rank;                  ///< "" where no method has one
  std::vector<std::string> methods;  ///< empty: every registered one that takes the shape and rank
  std::size_t rounds = 11;
};

struct LayerRow {
  std::string method;
  std::size_t rank = 0;  ///< 0 where the method has none
  std::size_t parameters = 0;
  double forward_ms = 0, forward_backward_ms = 0;
  /// Median over the rounds of forward + backward over that of the frozen layer beside it.
  double overhead = 0;
  std::vector<std::string> plans;  ///< explain_plans
};

struct LayerReport {
  double frozen_forward_ms = 0;
  double frozen_ms = 0;  ///< forward and backward
  std::vector<LayerRow> rows;
  std::vector<SkippedMethod> skipped;
};

/// Measures forward and backward of adapted layers against the same layers frozen (Y = X W^T + b
/// and dX = dY W into memory that is there). A round times both one after the other, the frozen one
/// first in every other round, so that noise of the machine meets both. Times are medians.
/// `progress` is told how many of all methods are done. Throws UsageError for a size of 0, sizes
/// beyond the machine's memory, an unknown or repeated method, and a named one that refuses.
LayerReport bench_layer(const LayerRequest& request, const Registry& registry,
                        const std::function<void(std::size_t, std::size_t)>& progress = {});

/// Attention heads of a site of that width: 12, or the largest divisor below it.
std::size_t bench_heads(std::size_t width);
/// That many square layers, each with one matrix q.
Stack bench_stack(std::size_t layers, std::size_t width);

}  // namespace rankfold
