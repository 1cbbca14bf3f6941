#include "analysis/estimate.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "analysis/distributions.h"
#include "analysis/statistics.h"
#include "core/error.h"
#include "core/random.h"

namespace rankfold {
namespace {

using Strata = std::vector<std::vector<double>>;

std::vector<double> finite_of(std::span<const double> scores) {
  std::vector<double> finite;
  std::copy_if(scores.begin(), scores.end(), std::back_inserter(finite),
               [](double score) { return std::isfinite(score); });
  return finite;
}

double mean_of_means(const Strata& strata) {
  std::vector<double> means;
  for (const std::vector<double>& stratum : strata) means.push_back(mean(stratum));
  return mean(means);
}

double pooled_interquartile_mean(const Strata& strata) {
  std::vector<double> all;
  for (const std::vector<double>& stratum : strata)
    all.insert(all.end(), stratum.begin(), stratum.end());
  return interquartile_mean(all);
}

Strata resample(const Strata& strata, const RandomStream& random) {
  Strata drawn(strata.size());
  std::uint64_t position = 0;
  for (std::size_t s = 0; s < strata.size(); ++s) {
    const std::size_t n = strata[s].size();
    for (std::size_t i = 0; i < n; ++i) {
      const double at = random.uniform(position++) * static_cast<double>(n);
      drawn[s].push_back(strata[s][static_cast<std::size_t>(at)]);
    }
  }
  return drawn;
}

double percentile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return std::lerp(sorted[below], sorted[above], at - static_cast<double>(below));
}

/// Adds the resamples' deviation, and the interval between their percentiles.
void add_spread(Estimate& estimate, std::vector<double> resampled, double confidence) {
  std::sort(resampled.begin(), resampled.end());
  estimate.standard_error =
      standard_error(resampled) * std::sqrt(static_cast<double>(resampled.size()));
  const double outside = (1 - confidence) / 2;
  estimate.interval = Bounds{percentile(resampled, outside), percentile(resampled, 1 - outside)};
}

}  // namespace

Estimate estimate_mean(std::span<const double> scores, double confidence) {
  if (scores.empty()) throw Error("the mean of no scores is not defined");
  if (!(confidence > 0 && confidence < 1)) {
    throw Error("a confidence of {} has no interval: expected a number between 0 and 1",
                confidence);
  }
  const std::vector<double> finite = finite_of(scores);
  Estimate estimate;
  estimate.count = finite.size();
  estimate.diverged = scores.size() - finite.size();
  if (finite.empty()) return estimate;
  estimate.value = mean(finite);
  if (finite.size() < 2) return estimate;
  estimate.standard_error = standard_error(finite);
  const double reach = student_t_quantile(confidence, static_cast<double>(finite.size() - 1)) *
                       *estimate.standard_error;
  estimate.interval = Bounds{*estimate.value - reach, *estimate.value + reach};
  return estimate;
}

double interquartile_mean(std::span<const double> values) {
  if (values.empty()) throw Error("the interquartile mean of no values is not defined");
  std::vector<double> sorted = finite_of(values);
  if (sorted.size() != values.size()) {
    throw Error("the interquartile mean of values that are not finite is not defined");
  }
  std::sort(sorted.begin(), sorted.end());
  const std::size_t cut = sorted.size() / 4;
  return mean(std::span(sorted).subspan(cut, sorted.size() - 2 * cut));
}

BootstrapMeans bootstrap_means(std::span<const std::vector<double>> given, const Bootstrap& how) {
  if (given.empty()) throw Error("nothing to bootstrap: expected one stratum or more");
  if (how.resamples < 2) {
    throw Error("a bootstrap of {} resamples has no interval: expected 2 or more", how.resamples);
  }
  if (!(how.confidence > 0 && how.confidence < 1)) {
    throw Error("a confidence of {} has no interval: expected a number between 0 and 1",
                how.confidence);
  }
  Estimate estimate;
  Strata strata;
  for (const std::vector<double>& scores : given) {
    if (scores.empty()) throw Error("stratum {} of the bootstrap is empty", strata.size());
    strata.push_back(finite_of(scores));
    estimate.count += strata.back().size();
    estimate.diverged += scores.size() - strata.back().size();
  }
  BootstrapMeans found{estimate, estimate};
  const auto fewest = std::min_element(strata.begin(), strata.end(), [](auto& a, auto& b) {
                        return a.size() < b.size();
                      })->size();
  if (fewest < 1) return found;
  found.mean.value = mean_of_means(strata);
  found.interquartile_mean.value = pooled_interquartile_mean(strata);
  if (fewest < 2) return found;

  std::vector<double> means(how.resamples), interquartile_means(how.resamples);
  for (std::size_t i = 0; i < how.resamples; ++i) {
    const Strata drawn = resample(strata, RandomStream(how.seed, "bootstrap", i));
    means[i] = mean_of_means(drawn);
    interquartile_means[i] = pooled_interquartile_mean(drawn);
  }
  add_spread(found.mean, std::move(means), how.confidence);
  add_spread(found.interquartile_mean, std::move(interquartile_means), how.confidence);
  return found;
}

}  // namespace rankfold
