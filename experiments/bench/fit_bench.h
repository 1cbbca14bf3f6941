#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "core/fit/update_source.h"
#include "core/network/stack.h"
#include "experiments/bench/skipped_method.h"

namespace rankfold {

struct FitBenchRequest {
  std::string rank;                  ///< "" where no method has one
  std::vector<std::string> methods;  ///< empty: every registered one that can be fitted
  std::size_t repeats = 5;
};

struct FitBenchRow {
  std::string method;
  std::string rank = {};  ///< "" where the method has none
  std::size_t parameters = 0;
  double seconds = 0;         ///< median of the repeats
  double relative_error = 0;  ///< |D - dW| / |D|
  std::size_t starts = 0, sweeps = 0;
};

struct FitBenchReport {
  std::vector<FitBenchRow> rows;
  std::vector<SkippedMethod> skipped;
};

/// Fits every method to the updates `repeats` times, with the settings that `rankfold fit` has
/// without options. `progress` is told how many of all methods are done. Throws UsageError for no
/// repeat, an unknown or repeated method, and a named one that refuses.
template <class T>
FitBenchReport bench_fit(const FitBenchRequest& request, const Stack& stack,
                         const UpdateSource<T>& source, const Registry& registry,
                         const std::function<void(std::size_t, std::size_t)>& progress = {});

/// Reproducible updates of `layers` square matrices of one type, in memory:
///   D_s = sum_{k = 1 .. K} b_sk a_k^T / k + E_s / 10,   K = min(width, 64),
/// a (shared by all layers), b and E standard normal: singular values that fall like 1 / k above
/// noise. Whatever the rank, methods that share the in side can follow it, and none fits it whole.
class RandomUpdates final : public UpdateSource<float> {
 public:
  /// Throws UsageError for a size of 0, and sizes beyond the machine's memory.
  RandomUpdates(std::size_t layers, std::size_t width);

  const Stack& stack() const { return stack_; }
  const float* read(std::size_t site, std::vector<float>&) const override {
    return values_.data() + site * size_;
  }
  double largest(std::size_t site, std::size_t) const override { return largest_[site]; }

 private:
  Stack stack_;
  std::size_t size_ = 0;
  std::vector<float> values_;
  std::vector<double> largest_;  ///< of each site, known before a fit is timed
};

}  // namespace rankfold
