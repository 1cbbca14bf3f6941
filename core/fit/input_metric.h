#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/fit/update_source.h"
#include "core/network/stack.h"

namespace rankfold {

/// How much the inputs X[samples, in] of a weight count each direction of its in side:
///   |X E^T|^2 / samples + h |E|^2 = |E R^T|^2 for all E[out, in],   R^T R = X^T X / samples + h 1,
/// h a small part of the mean of the diagonal. The ridge h makes R regular where there are fewer
/// samples than inputs: of all factors that the samples cannot tell apart those win that come
/// closest to the updates themselves. It counts in the errors that fits report.
struct InputMetric {
  std::size_t size = 0;
  std::vector<double> root;  ///< R[size, size], upper triangular (Cholesky)
};

/// The metric of every site; sites with the same inputs share one.
struct InputMetrics {
  std::vector<InputMetric> metrics;
  std::vector<std::size_t> of_site;

  const InputMetric& at(std::size_t site) const { return metrics[of_site[site]]; }
};

/// X^T X / samples. Throws Error beginning with `what` where X is empty, zero or holds numbers that
/// are not finite.
std::vector<double> gram_of_inputs(const std::vector<double>& inputs, std::size_t size,
                                   const std::string& what);
constexpr double least_ridge = 1e-12, usual_ridge = 1e-10;
/// The metric of a Gram matrix [size, size]; h is `ridge` of its mean diagonal. Throws UsageError
/// for a ridge below least_ridge, where rounding would leave no root.
InputMetric make_metric(std::vector<double> gram, std::size_t size, double ridge = usual_ridge);

/// matrix[rows, size] R^T.
void multiply_by_root(const InputMetric& metric, const Device& device, const double* matrix,
                      std::size_t rows, double* product);

/// D_s R_s^T in place of the updates D_s.
class WeightedSource final : public UpdateSource<double> {
 public:
  /// Keeps all products where they take at most `limit` bytes, else forms them whenever they are
  /// read. What it is given must outlive it.
  WeightedSource(const UpdateSource<double>& source, const InputMetrics& metrics,
                 const Stack& stack, const Device& device, std::size_t limit);

  const double* read(std::size_t site, std::vector<double>& scratch) const override;
  void release(std::size_t site) const override { source_.release(site); }

 private:
  void form(std::size_t site, double* product) const;

  const UpdateSource<double>& source_;
  const InputMetrics& metrics_;
  const Stack& stack_;
  const Device& device_;
  std::vector<double> kept_;
  std::vector<std::size_t> begin_;  ///< of each site in `kept_`
};

}  // namespace rankfold
