#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "analysis/statistics/estimate.h"

namespace rankfold {

/// Two methods' scores under the same conditions.
struct ScorePair {
  double first = 0, second = 0;
};

struct PairedScores {
  std::vector<ScorePair> pairs;  ///< by seed
  std::size_t unpaired = 0;      ///< scores of either method that the other has no partner for
  std::size_t other_rows = 0;    ///< seeds of both that are no pair, see pair_scores
};

/// Pairs two methods' scores by seed, in one pass; those that are known to be of other rows are no
/// pair. Throws Error unless the seeds of both ascend (as
/// text), so that each has every seed once.
PairedScores pair_scores(std::span<const SeedScore> first, std::span<const SeedScore> second);

/// A two-sided test of the differences d = first - second. Pairs with a score that is not finite
/// take no part and are counted. Differences that lie closer together (or to 0) than the rounding
/// of the scores allows are equal (or 0): what is left of 0.90 - 0.85 - (0.85 - 0.80) is no
/// deviation. That is 2^-50 of the largest score, and 2^-22 where all scores are numbers of single
/// precision, as event files hold them.
struct PairedTest {
  std::size_t count = 0;                  ///< pairs with two finite scores
  std::size_t diverged = 0;               ///< the others
  std::optional<double> mean_difference;  ///< of d; empty for no finite pair
  std::optional<double> statistic;
  std::optional<double> p_value;
  bool exact = false;  ///< p from the exact distribution under the null hypothesis
};

/// Student's test: t = mean(d) / (s_d / sqrt(n)) with n - 1 degrees of freedom. Statistic and p
/// are empty for fewer than two pairs and where all differences are equal, as no deviation can be
/// told from them. Throws Error for no pairs.
PairedTest paired_t_test(std::span<const ScorePair> pairs);

/// Wilcoxon's signed-rank test: zero differences are dropped, the others ranked by |d| (equal ones
/// by their middle rank), the statistic is the smaller of the rank sums of d > 0 and d < 0.
///
/// p is exact (over the 2^n equally likely signs) for 50 pairs or fewer without ties and zeros, and
/// for 13 or fewer with them, as scipy.stats.wilcoxon chooses; beyond that from the normal
/// approximation with variance n (n + 1) (2n + 1) / 24 - sum (t^3 - t) / 48 over groups of t ties
/// and with the correction 1/2 for continuity. Statistic and p are empty for fewer than two finite
/// pairs and where all differences are equal: seeds that change nothing are no repetitions. Throws
/// Error for no pairs.
PairedTest wilcoxon_signed_rank(std::span<const ScorePair> pairs);

/// Holm's step-down correction of m p-values, in the order given: with p_(1) <= ... <= p_(m),
/// adjusted p_(i) = max over j <= i of min(1, (m - j + 1) p_(j)). Throws Error for no values and
/// for values outside [0, 1]. Source: Holm, "A simple sequentially rejective multiple test
/// procedure", Scandinavian Journal of Statistics 6 (1979).
std::vector<double> holm_correction(std::span<const double> p_values);

}  // namespace rankfold
