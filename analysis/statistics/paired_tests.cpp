#include "analysis/statistics/paired_tests.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "analysis/statistics/distributions.h"
#include "analysis/statistics/statistics.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

constexpr std::size_t most_exact = 50, most_exact_with_ties = 13;

struct Differences {
  PairedTest test;  ///< counts and mean
  std::vector<double> values;
  double rounding = 0;  ///< values that lie closer are equal

  bool all_equal() const {
    const auto [low, high] = std::ranges::minmax(values);
    return high - low <= rounding;
  }
};

Differences differences(std::span<const ScorePair> pairs) {
  if (pairs.empty()) throw Error("a paired test of no pairs is not defined");
  Differences found;
  double largest = 0;
  for (const ScorePair& pair : pairs) {
    if (!std::isfinite(pair.first) || !std::isfinite(pair.second)) continue;
    found.values.push_back(pair.first - pair.second);
    largest = std::max({largest, std::abs(pair.first), std::abs(pair.second)});
  }
  // Event logs hold scores in single precision: differences that are one but for its rounding are
  // one, also of means over tasks, which double precision holds.
  found.rounding = std::ldexp(largest, -50);
  if (!found.values.empty()) {
    const auto [least, most] = std::ranges::minmax(found.values);
    if (most - least <= std::ldexp(largest, -21)) found.rounding = std::ldexp(largest, -21);
  }
  for (double& value : found.values)
    if (std::abs(value) <= found.rounding) value = 0;
  found.test.count = found.values.size();
  found.test.diverged = pairs.size() - found.values.size();
  if (found.values.empty()) return found;
  found.test.mean_difference = mean(found.values);
  if (std::abs(*found.test.mean_difference) <= found.rounding) found.test.mean_difference = 0;
  return found;
}

/// Twice the signed ranks of the nonzero differences (whole numbers also for middle ranks).
struct SignedRanks {
  std::vector<std::size_t> doubled;  ///< by |d|
  std::size_t positive = 0, negative = 0;
  double tie_sum = 0;  ///< sum of t^3 - t over groups of t ties
  bool ties = false;
};

/// Neighbours that lie no further apart than `rounding` tie.
SignedRanks signed_ranks(std::vector<double> values, double rounding) {
  std::sort(values.begin(), values.end(),
            [](double a, double b) { return std::abs(a) < std::abs(b); });
  SignedRanks ranks;
  for (std::size_t begin = 0, end = 0; begin < values.size(); begin = end) {
    do ++end;
    while (end < values.size() && std::abs(values[end]) - std::abs(values[end - 1]) <= rounding);
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

/// How many of the 2^n choices of signs give each sum of the positive ranks.
std::vector<double> ways_to_sum(const std::vector<std::size_t>& ranks) {
  std::vector<double> ways(std::accumulate(ranks.begin(), ranks.end(), std::size_t{1}));
  ways[0] = 1;  // whole numbers up to 2^50
  std::size_t reached = 0;
  for (const std::size_t rank : ranks) {
    reached += rank;
    for (std::size_t sum = reached; sum >= rank; --sum) ways[sum] += ways[sum - rank];
  }
  return ways;
}

/// P(W <= statistic) for the ranks 1 to n, each n counted once.
const std::vector<double>& shares_of_ranks(std::size_t n) {
  static const auto all = [] {
    std::array<std::vector<double>, most_exact + 1> shares;
    std::vector<std::size_t> ranks;
    for (std::vector<double>& share : shares) {
      share = ways_to_sum(ranks);
      std::partial_sum(share.begin(), share.end(), share.begin());
      for (double& ways : share) ways = std::ldexp(ways, -static_cast<int>(ranks.size()));
      ranks.push_back(ranks.size() + 1);
    }
    return shares;
  }();
  return all[n];
}

/// min(1, 2 P(W <= statistic)): the distribution of a rank sum is symmetric. The statistic is
/// doubled as the ranks are.
double exact_p(const SignedRanks& ranks, std::size_t statistic) {
  if (!ranks.ties) return std::min(1.0, 2 * shares_of_ranks(ranks.doubled.size())[statistic / 2]);
  const std::vector<double> ways = ways_to_sum(ranks.doubled);
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

/// What is not known may be the same.
bool are_of_other_rows(const SeedScore& a, const SeedScore& b) {
  const auto differ = [](const std::string& x, const std::string& y) {
    return !x.empty() && !y.empty() && x != y;
  };
  return differ(a.rows, b.rows) || differ(a.split, b.split);
}

}  // namespace

PairedScores pair_scores(std::span<const SeedScore> first, std::span<const SeedScore> second) {
  for (const auto& scores : {first, second}) {
    const auto turn = std::ranges::adjacent_find(
        scores, [](const SeedScore& a, const SeedScore& b) { return a.seed >= b.seed; });
    if (turn != scores.end())
      throw Error("seed '{}' stands before '{}': expected ascending seeds, each once", turn->seed,
                  (turn + 1)->seed);
  }
  PairedScores paired;
  for (auto i = first.begin(), j = second.begin(); i != first.end() && j != second.end();) {
    const int order = i->seed.compare(j->seed);
    if (order == 0 && are_of_other_rows(*i, *j))
      ++paired.other_rows;
    else if (order == 0)
      paired.pairs.push_back({i->score, j->score});
    if (order <= 0) ++i;
    if (order >= 0) ++j;
  }
  paired.unpaired = first.size() + second.size() - 2 * paired.pairs.size();
  return paired;
}

PairedTest paired_t_test(std::span<const ScorePair> pairs) {
  Differences found = differences(pairs);
  PairedTest& test = found.test;
  if (found.values.size() < 2 || found.all_equal()) return test;
  test.statistic = *test.mean_difference / standard_error(found.values);
  test.p_value = student_t_two_sided(*test.statistic, static_cast<double>(found.values.size() - 1));
  return test;
}

PairedTest wilcoxon_signed_rank(std::span<const ScorePair> pairs) {
  Differences found = differences(pairs);
  PairedTest& test = found.test;
  std::vector<double>& values = found.values;
  if (values.empty() || found.all_equal()) return test;
  const std::size_t zeros = std::erase(values, 0.0);
  const SignedRanks ranks = signed_ranks(values, found.rounding);
  const std::size_t smaller = std::min(ranks.positive, ranks.negative);
  test.statistic = static_cast<double>(smaller) / 2;
  const bool clean = !ranks.ties && zeros == 0;
  test.exact = test.count <= (clean ? most_exact : most_exact_with_ties);
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
