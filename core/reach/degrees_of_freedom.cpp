#include "core/reach/degrees_of_freedom.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "core/base/error.h"
#include "core/device/one_thread.h"
#include "core/reach/reduced_sizes.h"

namespace rankfold {
namespace {

/// Groups up to the first are ranked as they are; beyond the second a rank takes too long.
constexpr std::size_t exact_size = 1500, largest_size = 20'000;

void expect_update(const std::string& method, const DeclaredSite& declared) {
  if (!is_sum_of_products(declared.declaration))
    throw UsageError(
        "[{}] degrees of freedom are those of weight updates; this method is none (it is nonlinear "
        "in X, adds a bias, or has several stages)",
        method);
}

/// Sites that share a trainable factor, directly or through others.
std::vector<std::vector<DeclaredSite>> connected_groups(const FactorCopies& factors,
                                                        const std::vector<DeclaredSite>& sites) {
  std::vector<std::size_t> group(sites.size());
  std::iota(group.begin(), group.end(), std::size_t{0});
  for (std::size_t i = 0; i < sites.size(); ++i)
    for (const std::size_t copy : factors.of_site(i)) {
      const std::size_t other = group[factors.first_user(copy)], own = group[i];
      if (factors.form(copy).trainable && other != own)
        std::ranges::replace(group, std::max(other, own), std::min(other, own));
    }
  std::map<std::size_t, std::vector<DeclaredSite>> groups;
  for (std::size_t i = 0; i < sites.size(); ++i) groups[group[i]].push_back(sites[i]);
  std::vector<std::vector<DeclaredSite>> result;
  for (auto& [key, members] : groups) result.push_back(std::move(members));
  return result;
}

double entries(const std::vector<DeclaredSite>& sites) {
  double sum = 0;
  for (const DeclaredSite& declared : sites)
    sum += static_cast<double>(declared.site.out) * static_cast<double>(declared.site.in);
  return sum;
}

/// The degrees of freedom of one group from smaller sizes; nothing where no smaller ones do.
std::optional<std::size_t> rank_reduced(const std::string& method,
                                        const std::vector<DeclaredSite>& sites,
                                        const std::shared_ptr<const Device>& device) {
  const ReducibleGroup group(sites);
  const auto size_of = [&](const std::vector<DeclaredSite>& members) {
    return number_copies(method, members).trainable_size();
  };
  if (group.sizes().empty()) return std::nullopt;
  const auto fullness = [&](const std::vector<DeclaredSite>& members) {
    return static_cast<double>(size_of(members)) / entries(members);
  };
  // Far from where the updates' own entries, not the factors, are the limit (if the true sizes
  // are).
  const double most_full = std::max(0.7, fullness(sites));
  std::vector<std::size_t> full;
  for (const Reducible& size : group.sizes()) full.push_back(size.size);
  for (double growth = 1;; growth *= 1.4) {
    std::vector<std::size_t> small, check;
    for (const Reducible& size : group.sizes()) {
      const auto least = static_cast<std::size_t>(static_cast<double>(size.least) * growth);
      const std::size_t larger = least + std::max<std::size_t>(2, least / 8);
      small.push_back(larger < size.size ? least : size.size);
      check.push_back(std::min(larger, size.size));
    }
    if (small == full || size_of(group.resize(check)) > largest_size) return std::nullopt;
    if (fullness(group.resize(small)) > most_full) continue;
    const auto found = extend(small, check, full, [&](const std::vector<std::size_t>& sizes) {
      return tangent_rank(method, group.resize(sizes), false, device);
    });
    if (found && *found <= size_of(sites)) return found;
  }
}

}  // namespace

DegreesOfFreedom find_degrees_of_freedom(const std::string& method,
                                         const std::vector<DeclaredSite>& sites,
                                         const std::shared_ptr<const Device>& device) {
  const OneThread one_thread;  // small products: faster than two that wait for each other
  DegreesOfFreedom result;
  struct Known {
    std::size_t degrees;
    bool reduced;
  };
  std::map<std::string, Known> known;
  for (const std::vector<DeclaredSite>& group :
       connected_groups(number_copies(method, sites), sites)) {
    const std::string structure = structure_of(group, true);
    auto found = known.find(structure);
    if (found == known.end()) {
      const std::size_t size = number_copies(method, group).trainable_size();
      std::optional<std::size_t> reduced;
      if (size > exact_size || group.front().declaration.normalisation)
        reduced = rank_reduced(method, group, device);
      if (!reduced && size > largest_size)
        throw Error(
            "[{}] {} parameters depend on each other, at sizes that cannot be reduced; expected at "
            "most {}",
            method, size, largest_size);
      found = known
                  .emplace(structure,
                           Known{reduced ? *reduced : tangent_rank(method, group, true, device),
                                 reduced.has_value()})
                  .first;
    }
    result.total += found->second.degrees;
    result.reduced_sizes = result.reduced_sizes || found->second.reduced;
  }
  return result;
}

DegreesOfFreedom find_degrees_of_freedom(const Method& method, const Stack& stack,
                                         const MethodSettings& settings,
                                         const std::shared_ptr<const Device>& device) {
  const OneThread one_thread;
  std::vector<DeclaredSite> sites;
  for (const Site& site : stack.sites) {
    DeclaredSite declared{site,
                          beside_weight(method.declare(site, stack, settings), site.out, site.in)};
    if (declared.declaration.stages.empty()) continue;
    expect_update(method.name, declared);
    sites.push_back(std::move(declared));
  }
  DegreesOfFreedom result = find_degrees_of_freedom(method.name, sites, device);
  std::map<std::string, std::size_t> known;
  std::size_t next = 0;
  for (const Site& site : stack.sites) {
    if (next == sites.size() || sites[next].site.name != site.name) {
      result.attainable_ranks.push_back(0);
      continue;
    }
    const DeclaredSite& declared = sites[next++];
    const std::string structure = structure_of({declared}, false);
    if (!known.contains(structure)) known[structure] = update_rank(method.name, declared, device);
    result.attainable_ranks.push_back(known.at(structure));
  }
  return result;
}

}  // namespace rankfold
