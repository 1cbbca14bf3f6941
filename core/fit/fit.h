#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter.h"
#include "core/fit/update_source.h"
#include "core/method.h"

namespace rankfold {

struct FitSettings {
  /// Random starts of alternating least squares; every one takes ten sweeps, the best goes on.
  /// Default: 8 on compressed data, else 1. Direct methods start from their decomposition.
  std::optional<std::size_t> starts;
  /// Sweeps at most. Default: 100; after a direct decomposition of data that are not compressed 0.
  std::optional<std::size_t> iterations;
  double tolerance = 1e-6;  ///< a sweep that lowers the relative error by less is the last
  std::uint64_t seed = 0;
};

struct FitReport {
  double relative_error = 0;        ///< |D - dW| / |D| over all sites; 0 where both are zero
  std::vector<double> site_errors;  ///< the same of each
  std::vector<double> convergence;  ///< relative error after each sweep, or the final one alone
  std::size_t starts = 1, iterations = 0;  ///< the most of any set of sites
};

template <class T>
struct FittedUpdates {
  std::unique_ptr<Adapter<T>> adapter;
  FitReport report;
};

/// Fits the method's factors to updates D_s of the stack's sites:
///   min sum_s |D_s - dW_s|^2.
/// Sites that share no trainable factor are fitted apart. The structure of the declared product
/// decides: a tree of factors (low rank, Tucker, tensor train, Kronecker) is decomposed by singular
/// values, then improved by alternating least squares; any other sum of products by alternating
/// least squares from random starts. A side of the weight that one factor alone holds is compressed
/// first, the factor expanded and fitted to the data behind it. Frozen factors stay at their start.
/// Throws UsageError where the method is more than a sum of products of its factors, and Error
/// where frozen factors follow from weights, which a fit does not have. `progress` hears sites
/// done.
template <class T>
FittedUpdates<T> fit_updates(const Method& method, const Stack& stack,
                             const MethodSettings& settings, const UpdateSource<T>& source,
                             const FitSettings& fit, std::shared_ptr<const Backend> backend,
                             const std::function<void(std::size_t)>& progress = {});

/// Throws what fit_updates would of the method, its settings and the stack's shapes, and reads no
/// update.
void expect_fittable(const Method& method, const Stack& stack, const MethodSettings& settings);

}  // namespace rankfold
