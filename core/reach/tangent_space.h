#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "core/network/factor_copies.h"
#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// A site with its declaration, which is a weight update (normalised or not).
struct DeclaredSite {
  Site site;
  Declaration declaration;
};

/// The factors' copies of such sites; `method` is named by errors.
FactorCopies number_copies(const std::string& method, const std::vector<DeclaredSite>& sites);

/// The rank of the Jacobian J of (all trainable factors) -> (the updates of all sites) at a random
/// point. J has sum of out * in rows and is never formed. The block of J^T J that belongs to the
/// factors f and g is the sum over sites of the network without f contracted with the network
/// without g over out and in. Where a network regroups modes whose borders do not nest, or norms
/// make it nonlinear, J^T J is that of a random projection of J to a few rows more than it has
/// columns, one reverse pass a row. Frozen factors that are stored are random too; with
/// `own_frozen` the others start as the method has them, over a random frozen weight.
/// Throws Error as compile_network does.
std::size_t tangent_rank(const std::string& method, const std::vector<DeclaredSite>& sites,
                         bool own_frozen, const std::shared_ptr<const Device>& device);

/// The rank of W' - W of one site at a random point, W random.
std::size_t update_rank(const std::string& method, const DeclaredSite& site,
                        const std::shared_ptr<const Device>& device);

}  // namespace rankfold
