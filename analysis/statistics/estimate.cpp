#include "analysis/statistics/estimate.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

#include "analysis/statistics/distributions.h"
#include "analysis/statistics/statistics.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

void expect_confidence(double confidence) {
  if (!(confidence > 0 && confidence < 1)) {
    throw Error("a confidence of {} has no interval: expected a number between 0 and 1",
                confidence);
  }
}

std::vector<double> finite_of(std::span<const double> scores) {
  std::vector<double> finite;
  std::copy_if(scores.begin(), scores.end(), std::back_inserter(finite),
               [](double score) { return std::isfinite(score); });
  return finite;
}

struct Spread {
  double standard_error = 0, degrees_of_freedom = 1;
};

void add_spread(Estimate& estimate, const Spread& spread, const Bounds& possible,
                double confidence) {
  const double value = *estimate.value;
  const double reach =
      spread.standard_error == 0
          ? 0
          : spread.standard_error * student_t_quantile(confidence, spread.degrees_of_freedom);
  estimate.standard_error = spread.standard_error;
  estimate.interval = Bounds{std::min(value, std::max(value - reach, possible.low)),
                             std::max(value, std::min(value + reach, possible.high))};
}

/// A task's finite scores by seed.
struct Stratum {
  std::vector<SeedScore> scores;

  double size() const { return static_cast<double>(scores.size()); }
  std::vector<double> values() const {
    std::vector<double> values;
    for (const SeedScore& score : scores) values.push_back(score.score);
    return values;
  }
};

/// With the counts filled in.
std::vector<Stratum> strata_of(std::span<const std::vector<SeedScore>> tasks, Estimate& estimate) {
  if (tasks.empty()) throw Error("a mean over no tasks is not defined: expected one or more");
  std::vector<Stratum> strata;
  for (const std::vector<SeedScore>& task : tasks) {
    if (task.empty()) throw Error("task {} of a mean has no scores", strata.size());
    Stratum& stratum = strata.emplace_back();
    std::copy_if(task.begin(), task.end(), std::back_inserter(stratum.scores),
                 [](const SeedScore& score) { return std::isfinite(score.score); });
    std::ranges::sort(stratum.scores, {}, &SeedScore::seed);
    const auto twice = std::ranges::adjacent_find(stratum.scores, {}, &SeedScore::seed);
    if (twice != stratum.scores.end())
      throw Error("task {} of a mean has the seed '{}' twice", strata.size() - 1, twice->seed);
    estimate.count += stratum.scores.size();
    estimate.diverged += task.size() - stratum.scores.size();
  }
  return strata;
}

std::size_t fewest_scores(const std::vector<Stratum>& strata) {
  std::size_t fewest = strata.front().scores.size();
  for (const Stratum& stratum : strata) fewest = std::min(fewest, stratum.scores.size());
  return fewest;
}

double shared_seeds(const Stratum& a, const Stratum& b) {
  double shared = 0;
  for (auto i = a.scores.begin(), j = b.scores.begin();
       i != a.scores.end() && j != b.scores.end();) {
    const int order = i->seed.compare(j->seed);
    shared += order == 0 ? 1 : 0;
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  return shared;
}

/// Of sum_i weight_i m_i; every stratum has two scores or more.
Spread weighted_spread(const std::vector<Stratum>& strata, const std::vector<double>& weights) {
  std::vector<std::vector<double>> deviations;
  double largest = 0;
  for (const Stratum& stratum : strata) {
    deviations.push_back(stratum.values());
    const double center = mean(deviations.back());
    for (double& value : deviations.back()) {
      value -= center;
      largest = std::max(largest, std::abs(value));
    }
  }
  if (largest == 0) return {};
  // Squares of deviations over the largest one neither underflow nor overflow.
  std::map<std::string_view, double> by_seed;
  std::vector<double> variances;
  for (std::size_t i = 0; i < strata.size(); ++i) {
    const double n = strata[i].size(), scale = weights[i] / std::sqrt(n * (n - 1));
    double squares = 0;
    for (std::size_t s = 0; s < strata[i].scores.size(); ++s) {
      const double part = scale * (deviations[i][s] / largest);
      by_seed[strata[i].scores[s].seed] += part;
      squares += part * part;
    }
    variances.push_back(squares);
  }
  double square = 0, total = 0, products = 0;
  for (const auto& [seed, sum] : by_seed) square += sum * sum;
  for (std::size_t i = 0; i < strata.size(); ++i) {
    total += variances[i];
    for (std::size_t j = 0; j < strata.size(); ++j) {
      const double a = strata[i].size(), b = strata[j].size();
      const double both = shared_seeds(strata[i], strata[j]);
      products += variances[i] * variances[j] * both * (1 - 1 / a - 1 / b + both / (a * b)) /
                  ((a - 1) * (b - 1));
    }
  }
  return {largest * std::sqrt(square), total * total / products};
}

}  // namespace

Estimate estimate_mean(std::span<const double> scores, const Bounds& possible, double confidence) {
  if (scores.empty()) throw Error("the mean of no scores is not defined");
  expect_confidence(confidence);
  const std::vector<double> finite = finite_of(scores);
  Estimate estimate;
  estimate.count = finite.size();
  estimate.diverged = scores.size() - finite.size();
  if (finite.empty()) return estimate;
  estimate.value = mean(finite);
  if (finite.size() < 2) return estimate;
  add_spread(estimate, {standard_error(finite), static_cast<double>(finite.size() - 1)}, possible,
             confidence);
  return estimate;
}

Estimate estimate_over_tasks(std::span<const std::vector<SeedScore>> tasks, const Bounds& possible,
                             double confidence) {
  expect_confidence(confidence);
  Estimate estimate;
  const std::vector<Stratum> strata = strata_of(tasks, estimate);
  const std::size_t fewest = fewest_scores(strata);
  if (fewest < 1) return estimate;
  std::vector<double> means;
  for (const Stratum& stratum : strata) means.push_back(mean(stratum.values()));
  estimate.value = mean(means);
  if (fewest < 2) return estimate;
  const std::vector<double> weights(strata.size(), 1 / static_cast<double>(strata.size()));
  add_spread(estimate, weighted_spread(strata, weights), possible, confidence);
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

Estimate estimate_interquartile_mean(std::span<const std::vector<SeedScore>> tasks,
                                     const Bounds& possible, double confidence) {
  expect_confidence(confidence);
  Estimate estimate;
  std::vector<Stratum> strata = strata_of(tasks, estimate);
  const std::size_t fewest = fewest_scores(strata);
  if (fewest < 1) return estimate;
  std::vector<double> all;
  for (const Stratum& stratum : strata)
    for (const SeedScore& score : stratum.scores) all.push_back(score.score);
  estimate.value = interquartile_mean(all);
  if (fewest < 2 || strata.size() < fewest_interquartile_tasks) return estimate;
  std::sort(all.begin(), all.end());
  const std::size_t cut = all.size() / 4;
  std::vector<double> weights;
  for (Stratum& stratum : strata) {
    for (SeedScore& score : stratum.scores)
      score.score = std::clamp(score.score, all[cut], all[all.size() - 1 - cut]);
    weights.push_back(stratum.size() / static_cast<double>(all.size() - 2 * cut));
  }
  add_spread(estimate, weighted_spread(strata, weights), possible, confidence);
  return estimate;
}

}  // namespace rankfold
