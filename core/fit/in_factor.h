#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <vector>

#include "core/device/device.h"
#include "core/fit/input_metric.h"
#include "core/fit/site_network.h"

namespace rankfold {

/// A factor that alone holds the in side of the products that it stands in: [before, in, stride].
/// With f' = f R^T in its place these are products of dW R^T.
struct InFactor {
  std::size_t metric = 0;  ///< of all sites that read it
  std::size_t stride = 0;  ///< of the in side
};

/// f R^T from f, and f from f R^T, in place.
void put_root_in(const InputMetric& metric, std::size_t stride, const Device& device,
                 std::vector<double>& values);
void take_root_out(const InputMetric& metric, std::size_t stride, double* values, std::size_t size);

/// The in factors of sites that are fitted together, by parameter; nothing where an in side has
/// several modes, a product holds it in several factors or in part of one only, or sites with
/// unlike inputs read one factor.
std::optional<std::map<std::size_t, InFactor>> find_in_factors(
    const std::vector<SiteNetwork>& networks, const std::vector<std::size_t>& sites,
    const std::vector<FitParameter>& parameters, const InputMetrics& metrics);

/// The same of a joint network: the operand, and the metric of each of its copies.
struct JointInFactor {
  std::size_t operand = 0, stride = 0;
  std::vector<std::size_t> metrics;
};
std::optional<JointInFactor> find_in_factor(const JointNetwork& joint, const InputMetrics& metrics);

}  // namespace rankfold
