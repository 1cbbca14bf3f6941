#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/method.h"
#include "core/fit/least_squares.h"

namespace rankfold {

/// The update of one site as sums of products over the adapter's parameters.
struct SiteNetwork {
  std::vector<Axis> data;    ///< of dW: the out modes, then the in modes, contiguous
  std::size_t out_axes = 0;  ///< how many of them are out modes
  std::vector<FitTerm> terms;
};

/// Networks of all sites. Throws UsageError naming method and site where the update is more than a
/// multilinear function of its factors (an adapter around the weight, norms, a bias), or where a
/// tensor train's modes do not nest with the sides of the weight.
template <class T>
std::vector<SiteNetwork> compile_sites(const Method& method, const Adapter<T>& adapter,
                                       const MethodSettings& settings);

/// Sites that share trainable factors, directly or through others: fitted together, apart from all
/// others.
std::vector<std::vector<std::size_t>> connected_sites(const std::vector<SiteNetwork>& networks,
                                                      const std::vector<FitParameter>& parameters);

/// A set of sites whose updates are one tensor over the modes of the set and those of a site, given
/// as one product: T[sites..., out..., in...].
struct JointNetwork {
  std::vector<std::size_t> sites;  ///< in the order of the site modes, row-major
  std::vector<Axis> site_modes;    ///< the tensor's leading modes; strides in sites
  SiteNetwork network;             ///< of one site; parameters are the operands' numbers
  /// The distinct copies (parameter of the adapter, offset) that each operand reads, and the site
  /// mode (or nothing) that chooses among them.
  struct Copies {
    std::vector<std::pair<std::size_t, std::size_t>> places;
    std::vector<Axis> axes;  ///< of a copy, in the adapter's parameter
    std::optional<std::size_t> mode;
  };
  std::vector<Copies> copies;

  /// The tensor over all sites with parameters stored without gaps, the copies one after the other.
  FitBlock block() const;
};

/// The joint form, or nothing where the sites have no common structure (different products, several
/// terms, frozen factors, a grid of layers and matrices with holes).
std::optional<JointNetwork> join_sites(const std::vector<SiteNetwork>& networks,
                                       const std::vector<std::size_t>& sites,
                                       const std::vector<FitParameter>& parameters);

/// The network of D R^T: the in side is one mode of `size`, and R[size, in], contiguous, in
/// parameter `root`, one more operand of every term.
SiteNetwork with_known_root(const SiteNetwork& network, std::size_t root, std::size_t size);

}  // namespace rankfold
