#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <vector>

#include "core/reach/tangent_space.h"

namespace rankfold {

/// A size that a group of sites may be given smaller: of an out or in mode (of all sites that share
/// it through a factor), or how many alike sites there are.
struct Reducible {
  std::size_t size = 0;   ///< the true one
  std::size_t least = 0;  ///< above what the ranks of the factors need
};

/// A group of sites as a function of its reducible sizes.
class ReducibleGroup {
 public:
  explicit ReducibleGroup(const std::vector<DeclaredSite>& sites);

  const std::vector<Reducible>& sizes() const { return sizes_; }
  /// The group with these sizes in place of the true ones.
  std::vector<DeclaredSite> resize(const std::vector<std::size_t>& sizes) const;

 private:
  void find_modes();
  void find_alike();

  const std::vector<DeclaredSite>& sites_;
  FactorCopies copies_;
  std::vector<Reducible> sizes_;
  std::vector<std::vector<std::pair<std::string, std::size_t>>> modes_;  ///< of a site: name, index
  std::vector<std::optional<std::size_t>> alike_;  ///< index of the number of sites like this one
};

/// f at the true sizes `full`, where f is linear in each size from `small` on: found at `small` and
/// one more, checked at `check`. A size whose `small` is the true one stays. Nothing where the
/// check fails.
std::optional<std::size_t> extend(
    const std::vector<std::size_t>& small, const std::vector<std::size_t>& check,
    const std::vector<std::size_t>& full,
    const std::function<std::size_t(const std::vector<std::size_t>&)>& f);

/// One text for sites whose networks are the same but for the names of owners; with `positions`
/// the positions that they select count too.
std::string structure_of(const std::vector<DeclaredSite>& sites, bool positions);

}  // namespace rankfold
