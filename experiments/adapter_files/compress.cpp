#include "experiments/adapter_files/compress.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "core/adapter/rank.h"
#include "core/adapter/rank_budget.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "core/fit/compression.h"
#include "core/fit/fit.h"
#include "core/fit/site_network.h"
#include "core/linalg/linear_algebra.h"
#include "experiments/adapter_files/adapter_updates.h"
#include "experiments/adapter_files/can_be_fitted.h"

namespace rankfold {
namespace {

/// Shares of energy are compared to this: a relative error of 1e-5, above that of float factors.
constexpr double energy_rounding = 1e-10;

/// Those of a rank that was resolved before.
std::vector<std::size_t> sizes_of(const std::string& rank) {
  const std::optional<Rank> parsed = Rank::parse(rank);
  return parsed && !parsed->is_none() ? parsed->sizes() : std::vector<std::size_t>{0};
}

std::size_t largest_of(const std::string& rank) {
  return std::ranges::max(sizes_of(rank));
}

class RankReduction {
 public:
  RankReduction(const LoneAdapter& lone, const CompressGoal& goal, const Registry& registry,
                std::shared_ptr<const Device> device)
      : lone_(lone),
        goal_(goal),
        registry_(registry),
        device_(std::move(device)),
        sites_(lone.adapter->stack().sites),
        description_(lone.description),
        catalogue_(list_sites(description_, sites_)),
        described_(resolve_description(description_, catalogue_, registry)) {}

  /// What takes the adapter's place; nothing where it stays.
  struct Result {
    AdapterDescription description;
    std::unique_ptr<Adapter<float>> adapter;
    CompressReport report;
  };

  Result run() {
    check_goal(goal_);
    try {
      return reduce();
    } catch (const UsageError& failure) {
      throw Error("{}", failure.what());  // the method is the adapter's, nobody asked for it
    }
  }

 private:
  Result reduce() {
    check_can_be_fitted(description_, described_, *lone_.adapter, device_);
    Result result;
    if (goal_.budget && *goal_.budget >= lone_.adapter->parameter_count()) {
      // It is small enough already.
    } else if (has_one_pair_a_site(described_)) {
      result = fit_sites();
    } else {
      result = goal_.budget ? fit_budget() : fit_energy();
    }
    describe(result);
    return result;
  }

  std::string rank_of(const AdapterDescription& description, const std::string& site) const {
    if (description.sites.empty()) return description.rank;
    const auto found = std::ranges::find(description.sites, site, &SiteChoice::name);
    if (found == description.sites.end()) return "0";
    return found->rank.empty() ? description.rank : found->rank;
  }

  std::size_t count(AdapterDescription description) const {
    const DescribedMethod described = resolve_description(description, catalogue_, registry_);
    return count_parameters(described.method, described.stack, described.settings).trainable;
  }

  /// The description with one rank for all sites but those that have less. The rank of a tt-head is
  /// the adapter's: then the sites have the new one.
  AdapterDescription with_rank(const std::string& rank) const {
    AdapterDescription description = description_;
    const bool has_tt_head = description.train.find("tt-head") != std::string::npos;
    for (SiteChoice& choice : description.sites)
      if (choice.rank.empty() || largest_of(choice.rank) >= largest_of(rank))
        choice.rank = has_tt_head ? rank : "";
    if (!has_tt_head) description.rank = rank;
    return description;
  }

  double square(std::size_t site) {
    if (squares_.empty()) {
      const AdapterUpdates updates(*lone_.adapter, all_sites());
      std::vector<float> scratch;
      for (std::size_t i = 0; i < sites_.size(); ++i) {
        const float* values = updates.read(i, scratch);
        squares_.push_back(std::inner_product(values, values + scratch.size(), values, 0.0,
                                              std::plus<>(),
                                              [](double a, double b) { return a * b; }));
      }
    }
    return squares_[site];
  }

  std::vector<std::size_t> all_sites() const {
    std::vector<std::size_t> sites(sites_.size());
    std::iota(sites.begin(), sites.end(), std::size_t{0});
    return sites;
  }

  Result fit(AdapterDescription description) {
    const DescribedMethod described = resolve_description(description, catalogue_, registry_);
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < sites_.size(); ++i)
      if (std::ranges::find(described.stack.sites, sites_[i].name, &Site::name) !=
          described.stack.sites.end())
        kept.push_back(i);
    const AdapterUpdates updates(*lone_.adapter, kept);
    // Frozen factors that are in no file are drawn from the adapter's seed.
    FitSettings settings;
    settings.seed = description.seed;
    FittedUpdates<float> fitted = fit_updates<float>(
        described.method, described.stack, described.settings, updates, settings, device_);
    Result result{std::move(description), std::move(fitted.adapter), {}};
    CompressReport& report = result.report;
    double total = 0, residual = 0;
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      total += square(i);
      const auto place = std::ranges::find(kept, i);
      double error = square(i) > 0 ? 1 : 0;
      if (place != kept.end())
        error = fitted.report.site_errors[static_cast<std::size_t>(place - kept.begin())];
      if (square(i) > 0) residual += error * error * square(i);
      report.sites.push_back({sites_[i].name, "", "", error});
    }
    report.relative_error = residual > 0 ? std::sqrt(residual / total) : 0;
    return result;
  }

  /// A unit of rank that a site may have.
  struct Unit {
    double square = 0;  ///< of its singular value
    std::size_t site = 0, cost = 0;
  };

  /// Singular values of all sites, the largest first.
  std::vector<Unit> find_units() {
    std::vector<std::vector<double>> values(sites_.size());
    const AdapterUpdates updates(*lone_.adapter, all_sites());
    for_each(sites_.size(), [&](std::size_t i) {
      std::vector<float> scratch;
      updates.read(i, scratch);
      const std::vector<double> dense(scratch.begin(), scratch.end());
      // An update in float is of low rank to this.
      values[i] = decompose_low_rank({dense.data(), sites_[i].out, sites_[i].in}, 1e-6, *device_).s;
    });
    std::vector<Unit> units;
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      // Values beyond the adapter's rank are rounding.
      const std::size_t own = largest_of(rank_of(description_, sites_[i].name));
      for (std::size_t order = 0; order < std::min(own, values[i].size()); ++order)
        units.push_back({values[i][order] * values[i][order], i, sites_[i].out + sites_[i].in});
    }
    std::ranges::stable_sort(units, std::greater<>(), &Unit::square);
    return units;
  }

  /// A rank for every site, by the singular values of all.
  Result fit_sites() {
    const std::vector<Unit> units = find_units();
    double total = 0;
    for (const Unit& unit : units) total += unit.square;
    std::vector<std::size_t> ranks(sites_.size(), 0);
    std::size_t spent = 0;
    double kept = 0;
    Result result;
    for (const Unit& unit : units) {
      if (goal_.budget && spent + unit.cost > *goal_.budget) continue;
      if (spent > 0 && unit.square == 0) break;
      ++ranks[unit.site];
      spent += unit.cost;
      kept += unit.square;
      if (goal_.budget || kept < (*goal_.energy - energy_rounding) * total) continue;
      if (spent == lone_.adapter->parameter_count()) return {};
      // Where the fit's basis leaves a little out, the next unit makes up for it.
      result = fit(with_ranks(ranks));
      if (keeps_energy(result)) return result;
    }
    if (spent == 0) {
      const Unit& least = *std::ranges::min_element(units, {}, &Unit::cost);
      throw Error(
          "--budget is {}; the smallest setting, rank 1 of site {} alone, has {} parameters",
          *goal_.budget, sites_[least.site].name, least.cost);
    }
    return goal_.budget ? fit(with_ranks(ranks)) : Result{};
  }

  bool keeps_energy(const Result& result) const {
    const double error = result.report.relative_error;
    return 1 - error * error >= *goal_.energy - energy_rounding;
  }

  AdapterDescription with_ranks(const std::vector<std::size_t>& ranks) const {
    const std::string largest = std::to_string(std::ranges::max(ranks));
    AdapterDescription description = with_rank(largest);
    description.sites.clear();
    for (std::size_t i = 0; i < sites_.size(); ++i) {
      if (ranks[i] == 0) continue;
      SiteChoice choice = *std::ranges::find(description_.sites, sites_[i].name, &SiteChoice::name);
      const std::string rank = std::to_string(ranks[i]);
      choice.rank = rank == description.rank ? "" : rank;
      description.sites.push_back(std::move(choice));
    }
    return description;
  }

  MethodRequest request() const {
    MethodRequest request;
    // Counts do not depend on it; a file may hold one that nobody can ask for.
    if (const auto alpha = asked_alpha(description_); alpha && *alpha > 0) request.alpha = *alpha;
    request.options = description_.settings.options;
    return request;
  }

  /// The rank, no mode's more than the adapter has.
  std::string limited(const std::string& rank) const {
    const std::vector<std::size_t> own = described_.settings.ranks.empty()
                                             ? std::vector{described_.settings.rank}
                                             : described_.settings.ranks;
    std::vector<std::size_t> ranks = sizes_of(rank);
    if (ranks.size() == 1) ranks.resize(own.size(), ranks.front());
    for (std::size_t i = 0; i < ranks.size(); ++i) ranks[i] = std::min(ranks[i], own[i]);
    const bool equal = std::ranges::all_of(ranks, [&](auto r) { return r == ranks.front(); });
    return equal ? std::to_string(ranks.front()) : fmt::format("{}", fmt::join(ranks, "x"));
  }

  Result fit_budget() {
    const BudgetedRank chosen =
        choose_rank(registry_.at(description_.method), request(), described_.stack, *goal_.budget,
                    [&](const std::string& rank) { return can_be_fitted(with_rank(rank)); });
    if (!chosen.fits)
      throw Error("--budget is {}; the smallest setting, rank {}, has {} parameters", *goal_.budget,
                  chosen.rank, chosen.parameters);
    // Where counts fall with the rank, a smaller adapter has the larger one.
    AdapterDescription description = with_rank(limited(chosen.rank));
    if (count(description) > *goal_.budget) description = with_rank(chosen.rank);
    return fit(std::move(description));
  }

  /// Some ranks have products whose modes do not nest with out and in (randlora's, where neither
  /// the rank nor the number of bases divides the other).
  bool can_be_fitted(AdapterDescription description) const {
    const DescribedMethod described = resolve_description(description, catalogue_, registry_);
    const auto trial =
        make_adapter<float>(described.method, described.stack, described.settings, device_);
    try {
      compile_sites(described.method, *trial, described.settings);
    } catch (const UsageError&) {
      return false;
    }
    return true;
  }

  /// The adapter itself, then those of fewer parameters, the most first.
  std::vector<AdapterDescription> smaller_ranks() const {
    std::vector<AdapterDescription> ranks = {description_};
    const std::size_t own = described_.settings.rank, size = lone_.adapter->parameter_count();
    const auto& rank_limit = described_.method.rank_limit;
    const std::size_t limit = rank_limit ? rank_limit(described_.stack).value_or(own) : own;
    const auto size_at = [&](std::size_t rank) { return count(with_rank(std::to_string(rank))); };
    if (own > 1 ? size_at(1) <= size : limit == 1 || size_at(2) >= size) {
      for (std::size_t rank = own; rank-- > 1;)
        ranks.push_back(with_rank(limited(std::to_string(rank))));
      return ranks;
    }
    std::map<std::size_t, std::size_t, std::greater<>> smallest_of;  // by count
    for (std::size_t rank = 1; rank <= limit; ++rank)
      if (const std::size_t found = size_at(rank); found < size) smallest_of.emplace(found, rank);
    for (const auto& [found, rank] : smallest_of) ranks.push_back(with_rank(std::to_string(rank)));
    return ranks;
  }

  Result fit_energy() {
    const std::vector<AdapterDescription> ranks = smaller_ranks();
    std::size_t keeps = 0, loses = ranks.size();
    Result best;
    while (loses - keeps > 1) {
      const std::size_t middle = keeps + (loses - keeps) / 2;
      std::size_t at = middle;
      while (at > keeps && !can_be_fitted(ranks[at])) --at;
      if (at == keeps) {  // none between them can be fitted
        keeps = middle;
        continue;
      }
      Result tried = fit(ranks[at]);
      if (keeps_energy(tried)) {
        keeps = middle;
        best = std::move(tried);
      } else {
        loses = at;
      }
    }
    return best;
  }

  void describe(Result& result) {
    CompressReport& report = result.report;
    report.unchanged = result.adapter == nullptr;
    report.method = description_.method;
    report.parameters_before = lone_.adapter->parameter_count();
    report.parameters_after =
        report.unchanged ? report.parameters_before : result.adapter->parameter_count();
    report.energy = 1 - report.relative_error * report.relative_error;
    const AdapterDescription& after = report.unchanged ? description_ : result.description;
    if (report.unchanged)
      for (const Site& site : sites_) report.sites.push_back({site.name, "", "", 0});
    for (CompressReport::SiteReport& site : report.sites) {
      site.rank_before = rank_of(description_, site.name);
      site.rank_after = rank_of(after, site.name);
    }
    const auto largest = [&](auto rank) {
      const auto size = [&](const auto& site) { return largest_of(site.*rank); };
      return (*std::ranges::max_element(report.sites, {}, size)).*rank;
    };
    report.rank_before = largest(&CompressReport::SiteReport::rank_before);
    report.rank_after = largest(&CompressReport::SiteReport::rank_after);
  }

  const LoneAdapter& lone_;
  const CompressGoal& goal_;
  const Registry& registry_;
  std::shared_ptr<const Device> device_;
  const std::vector<Site>& sites_;
  AdapterDescription description_;
  SiteCatalogue catalogue_;
  DescribedMethod described_;
  std::vector<double> squares_;
};

}  // namespace

void check_goal(const CompressGoal& goal) {
  if (goal.budget.has_value() == goal.energy.has_value())
    throw UsageError("--budget and --energy: expected one of the two");
  if (goal.energy && !(*goal.energy > 0 && *goal.energy <= 1))
    throw UsageError("--energy is {}; expected a share above 0, at most 1", *goal.energy);
}

CompressReport compress(LoneAdapter& lone, const CompressGoal& goal, const Registry& registry,
                        std::shared_ptr<const Device> device) {
  RankReduction::Result result = RankReduction(lone, goal, registry, std::move(device)).run();
  lone.host.reset();
  if (result.adapter) {
    lone.description = std::move(result.description);
    lone.adapter = std::move(result.adapter);
  }
  return std::move(result.report);
}

}  // namespace rankfold
