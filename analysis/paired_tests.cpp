#include "analysis/paired_tests.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <utility>

#include "analysis/distributions.h"
#include "analysis/statistics.h"
#include "core/error.h"

namespace rankfold {
namespace {

using Key = std::pair<std::string, std::string>;

constexpr std::size_t most_exact = 50, most_exact_with_ties = 13;

std::map<Key, double> by_key(std::span<const KeyedScore> scores) {
  std::map<Key, double> found;
  for (const KeyedScore& score : scores) {
    if (!found.emplace(Key{score.task, score.seed}, score.score).second) {
      throw Error("task '{}' with seed '{}' has two scores of one method: expected one", score.task,
                  score.seed);
    }
  }
  return found;
}

/// The differences of the finite pairs, with the counts and the mean filled in.
std::pair<PairedTest, std::vector<double>> differences(std::span<const ScorePair> pairs) {
  if (pairs.empty()) throw Error("a paired test of no pairs is not defined");
  std::pair<PairedTest, std::vector<double>> found;
  auto& [test, values] = found;
  for (const ScorePair& pair : pairs) {
    if (std::isfinite(pair.first) && std::isfinite(pair.second)) {
      values.push_back(pair.first - pair.second);
    }
  }
  test.count = values.size();
  test.diverged = pairs.size() - values.size();
  if (!values.empty()) test.mean_difference = mean(values);
  return found;
}

/// Twice the signed ranks of the nonzero differences (whole numbers also for middle ranks).
struct SignedRanks {
  std::vector<std::size_t> doubled;  ///< by |d|
  std::size_t positive = 0, negative = 0;
  double tie_sum = 0;  ///< sum of t^3 - t over groups of t ties
  bool ties = false;
};

SignedRanks signed_ranks(std::vector<double> values) {
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  SignedRanks ranks;
  for (std::size_t begin = 0, end = 0; begin < values.size(); begin = end) {
    while (end < values.size() && std::abs(values[end]) == std::abs(values[begin])) ++end;
    const auto group = static_cast<double>(end - begin);
    ranks.ties = ranks.ties || end - begin > 1;
    ranks.tie_sum += group * (group * group - 1);
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t doubled = begin + 1 + end;
      ranks.doubled.push_back(doubled);
      (values[i] > 0 ? ranks.positive : ranks.negative) += doubled;
    }
  }
  return ranks;
}

/// min(1, 2 P(W <= statistic)): the distribution of a rank sum is symmetric.
double exact_p(const SignedRanks& ranks, std::size_t statistic) {
  const std::size_t total = ranks.positive + ranks.negative;
  std::vector<double> ways(total + 1);  // whole numbers up to 2^50
  ways[0] = 1;
  std::size_t reached = 0;
  for (std::size_t rank : ranks.doubled) {
    reached += rank;
    for (std::size_t sum = reached; sum >= rank; --sum) ways[sum] += ways[sum - rank];
  }
  const auto end = ways.begin() + static_cast<std::ptrdiff_t>(statistic) + 1;
  const double share =
      std::ldexp(std::accumulate(ways.begin(), end, 0.0), -static_cast<int>(ranks.doubled.size()));
  return std::min(1.0, 2 * share);
}

double normal_p(const SignedRanks& ranks, double statistic) {
  const auto n = static_cast<double>(ranks.doubled.size());
  const double variance = n * (n + 1) * (2 * n + 1) / 24 - ranks.tie_sum / 48;
  // 0 where the sums are equal: a correction must not turn the sign.
  const double distance = std::max(0.0, n * (n + 1) / 4 - statistic - 0.5);
  return normal_two_sided(distance / std::sqrt(variance));
}

}  // namespace

PairedScores pair_scores(std::span<const KeyedScore> first, std::span<const KeyedScore> second) {
  const std::map<Key, double> firsts = by_key(first), seconds = by_key(second);
  PairedScores paired;
  for (const auto& [key, score] : firsts) {
    const auto partner = seconds.find(key);
    if (partner != seconds.end()) paired.pairs.push_back({score, partner->second});
  }
  paired.unpaired = firsts.size() + seconds.size() - 2 * paired.pairs.size();
  return paired;
}

PairedTest paired_t_test(std::span<const ScorePair> pairs) {
  auto [test, values] = differences(pairs);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (values.size() < 2 || *low == *high) return test;
  test.statistic = *test.mean_difference / standard_error(values);
  test.p_value = student_t_two_sided(*test.statistic, static_cast<double>(values.size() - 1));
  return test;
}

PairedTest wilcoxon_signed_rank(std::span<const ScorePair> pairs) {
  auto [test, values] = differences(pairs);
  if (values.empty()) return test;
  const std::size_t zeros = std::erase(values, 0.0);
  const SignedRanks ranks = signed_ranks(values);
  const std::size_t smaller = std::min(ranks.positive, ranks.negative);
  test.statistic = static_cast<double>(smaller) / 2;
  const bool clean = !ranks.ties && zeros == 0;
  test.exact = values.empty() || test.count <= (clean ? most_exact : most_exact_with_ties);
  test.p_value = test.exact ? exact_p(ranks, smaller) : normal_p(ranks, *test.statistic);
  return test;
}

std::vector<double> holm_correction(std::span<const double> p_values) {
  if (p_values.empty()) throw Error("Holm's correction of no p-values is not defined");
  for (double p : p_values)
    if (!(p >= 0 && p <= 1)) throw Error("{} is no p-value: expected a number from 0 to 1", p);
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto left = static_cast<double>(order.size() - i);
    largest = std::max(largest, std::min(1.0, left * p_values[order[i]]));
    adjusted[order[i]] = largest;
  }
  return adjusted;
}

}  // namespace rankfold
