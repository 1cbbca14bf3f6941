#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {

/// How small an adapter becomes; one of the two.
struct CompressGoal {
  std::optional<std::size_t> budget;  ///< parameters, at most
  std::optional<double> energy;       ///< share of sum_s |dW_s|^2 that is kept, 0 < E <= 1
};

/// Throws UsageError where it is not one of the two, or not such a number.
void check_goal(const CompressGoal& goal);

struct CompressReport {
  std::string method;
  std::string rank_before, rank_after;  ///< the largest where sites differ
  std::size_t parameters_before = 0, parameters_after = 0;
  double relative_error = 0;  ///< |dW - dW'| / |dW| over all sites; 0 where both are zero
  double energy = 1;          ///< 1 - relative_error^2
  bool unchanged = false;     ///< no smaller setting reaches the goal, or none was asked for
  struct SiteReport {
    std::string name;
    std::string rank_before, rank_after;  ///< "0": the site has no adapter any more
    double relative_error = 0;
  };
  std::vector<SiteReport> sites;
};

/// Replaces the adapter by one of the same method at smaller ranks, fitted to its updates
/// (core/fit/fit.h); the head stays. The host, where there is one, is given back: it refers to the
/// old adapter.
///
/// Where every site has one product of two factors of its own (lora), every site gets a rank of its
/// own: singular values of all sites together, the largest first, until the energy is reached or no
/// further one fits the budget; a unit of rank costs out + in parameters. A site whose values are
/// all left out leaves the adapter's list of sites. Other methods have one rank: by choose_rank for
/// a budget, by bisection with fits for an energy, and no mode's more than it had; where counts
/// fall with the rank (randlora), of the ranks that can be fitted. An energy counts as kept to
/// 1e-10.
///
/// Throws as check_goal, Error where the method is more than a sum of products, has no rank, acts
/// on activations or has frozen factors that follow from the weights, and where the smallest
/// setting is beyond the budget.
CompressReport compress(LoneAdapter& lone, const CompressGoal& goal, const Registry& registry,
                        std::shared_ptr<const Device> device);

}  // namespace rankfold
