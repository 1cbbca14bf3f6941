#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/normalised_weight.h"
#include "core/adapter/reconstruction.h"
#include "core/network/compiled_network.h"
#include "core/reach/tangent_space.h"

// A random point of a group of sites' factors, at which tangent_space.h measures.

namespace rankfold {

/// The seed of all random numbers of a measurement.
inline constexpr std::uint64_t tangent_seed = 42;

/// A site at the point, compiled.
struct TangentSite {
  CompiledNetwork network;
  std::vector<std::size_t> factors;  ///< of the network and its norms
  std::optional<Reconstruction<double>> reconstruction;
  std::optional<NormalisedWeight<double>> normalised;
  std::vector<std::size_t> magnitudes;
  std::vector<double> frozen;  ///< W, where something reads it
};

struct TangentPoint {
  std::shared_ptr<const Device> device;
  std::vector<Parameter<double>> parameters;
  std::vector<TangentSite> sites;
  std::vector<std::size_t> offsets;  ///< of each trainable parameter among the columns of J
  std::size_t size = 0;              ///< columns of J
};

/// Trainable and stored factors are normal numbers; with `own_frozen` the other frozen ones start
/// as the method has them. Throws Error as compile_network does.
TangentPoint make_point(const std::string& method, const std::vector<DeclaredSite>& sites,
                        bool own_frozen, const std::shared_ptr<const Device>& device);

/// dense += dW of a site, whose reconstruction is there; `memory` grows as that asks for it.
void add_update(const TangentPoint& point, const TangentSite& site, std::vector<double>& dense,
                std::vector<double>& memory);
/// A site's magnitudes, or their gradients; null where it has none.
std::array<double*, 2> magnitudes(TangentPoint& point, const TangentSite& site, bool gradients);

/// Whether contract_gram takes the site: its reconstruction is products of factors whose out and in
/// split in the same way, and it has no norms.
bool is_plain(const TangentSite& site);
/// J^T J [size, size] of plain sites by contracting networks with themselves.
std::vector<double> contract_gram(const TangentPoint& point);

}  // namespace rankfold
