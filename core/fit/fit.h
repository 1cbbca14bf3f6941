#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/method.h"
#include "core/fit/input_metric.h"
#include "core/fit/update_source.h"

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

/// |X (D - dW)^T| / |X D^T| of inputs X.
struct WeightedErrors {
  double relative_error = 0;        ///< over all sites
  std::vector<double> site_errors;  ///< of each
  double unweighted_fit = 0;        ///< over all sites, of the fit that knows no inputs
};

struct FitReport {
  /// |D - dW| / |D| over all sites; 0 where both are zero, infinite where D alone is.
  double relative_error = 0;
  std::vector<double> site_errors;  ///< the same of each
  /// What the fit minimises, relative, after each sweep, or the final value alone.
  std::vector<double> convergence;
  std::size_t starts = 1, iterations = 0;  ///< the most of any set of sites
  std::optional<WeightedErrors> weighted;  ///< of a weighted fit
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
/// A linear map after or before the weight is fitted with the weight as one more known factor; that
/// weight, and those that frozen factors start from, are the source's frozen_weight. Updates whose
/// squares would leave the range of T are fitted in units of their own, and a zero update by zero.
/// Throws UsageError where the method is more than a sum of products of its factors, or depends on
/// frozen weights that the source does not know, and Error naming a site that holds numbers that
/// are not finite. `progress` hears sites done.
template <class T>
FittedUpdates<T> fit_updates(const Method& method, const Stack& stack,
                             const MethodSettings& settings, const UpdateSource<T>& source,
                             const FitSettings& fit, std::shared_ptr<const Device> device,
                             const std::function<void(std::size_t)>& progress = {});

/// Fits to the outputs that the updates give on inputs X_s[samples, in]:
///   min sum_s |X_s (D_s - dW_s)^T|^2 / samples = sum_s |(D_s - dW_s) R_s^T|^2
/// (input_metric.h). R_s is one more known operand of every product:
///
/// - Where in every product one factor alone holds the in side, and the sites that read it have one
///   metric, R_s belongs to that factor: f' = f R^T is as free as f, since R is regular, so the fit
///   is a plain one of D_s R_s^T, and f the solution of f R^T = f' afterwards. All that holds for
///   plain fits holds here: with two factors (lora) it is, to the precision of the compression, the
///   best there is: the truncated singular value decomposition of D R^T, times R^-T. Products that
///   are no joint tensor (several terms, frozen factors) go on from the plain fit.
/// - Everywhere else (an in side in several modes, as in trains and Kronecker products; two factors
///   that hold it, as in Hadamard products; one in factor for sites with unlike inputs) alternating
///   least squares goes on from the plain fit, with R_s as a frozen operand. What a metric couples
///   stands in one system then: a factor of r values for each of n inputs has systems of r n
///   unknowns, and is refused beyond 16384.
///
/// Where the weighted objective of a set of sites comes out above that of the plain fit (both may
/// be local minima), the plain fit is kept, so it never does. Throws as fit_updates does, and Error
/// for metrics of other sizes than the sites' or a factor beyond that limit.
FittedUpdates<double> fit_weighted_updates(const Method& method, const Stack& stack,
                                           const MethodSettings& settings,
                                           const UpdateSource<double>& source,
                                           const InputMetrics& metrics, const FitSettings& fit,
                                           std::shared_ptr<const Device> device,
                                           const std::function<void(std::size_t)>& progress = {});

/// Throws what fit_updates would of the method, its settings and the stack's shapes, and reads no
/// update; of a source that knows frozen weights or does not.
void expect_fittable(const Method& method, const Stack& stack, const MethodSettings& settings,
                     bool knows_weights = false);

}  // namespace rankfold
