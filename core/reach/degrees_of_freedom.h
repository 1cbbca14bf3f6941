#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/adapter/method.h"
#include "core/reach/tangent_space.h"

namespace rankfold {

/// Degrees of freedom of a method on a stack: the rank of the Jacobian of the map from all
/// trainable factors to the stack of updates at a random point, which is the dimension of what the
/// method can reach there: parameters less those that only change how an update is written (gauge).
struct DegreesOfFreedom {
  std::size_t total = 0;
  /// Some of it was found at smaller sizes: out and in modes without a border beside them, and the
  /// number of alike sites, enter the total in each of them linearly once they are above what the
  /// ranks need, so it is measured at a few small values, extended, and checked at another.
  bool reduced_sizes = false;
  std::vector<std::size_t> attainable_ranks;  ///< of dW at a random point, one a site
};

/// Throws UsageError where the method is no update of a weight (nonlinear, a bias), Error where too
/// many parameters depend on each other to be ranked.
DegreesOfFreedom find_degrees_of_freedom(const Method& method, const Stack& stack,
                                         const MethodSettings& settings,
                                         const std::shared_ptr<const Device>& device);

/// The same for sites declared before; without the attainable ranks.
DegreesOfFreedom find_degrees_of_freedom(const std::string& method,
                                         const std::vector<DeclaredSite>& sites,
                                         const std::shared_ptr<const Device>& device);

}  // namespace rankfold
