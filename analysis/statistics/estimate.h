#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/bounds.h"

namespace rankfold {

/// What scores say about a quantity. Scores that are not finite are runs that diverged: they are
/// counted and take no part in the numbers. What the scores cannot tell is empty, never 0; a
/// standard error of 0 says that all scores are equal.
struct Estimate {
  std::optional<double> value;
  std::optional<double> standard_error;
  std::optional<Bounds> interval;  ///< within what the quantity can be
  std::size_t count = 0;           ///< finite scores, those that the numbers rest on
  std::size_t diverged = 0;        ///< scores that are NaN or infinite
};

/// The mean, its standard error s / sqrt(n) and Student's interval mean +- t(confidence, n - 1)
/// s / sqrt(n), cut off at the ends of what is `possible` (an accuracy: 0 and 1). One finite score
/// has a mean and no more; none have no mean either. Throws Error for no scores at all and unless
/// 0 < confidence < 1.
Estimate estimate_mean(std::span<const double> scores, const Bounds& possible = unbounded,
                       double confidence = 0.95);

/// The score of one run.
struct SeedScore {
  std::string seed;
  double score = 0;
  std::string rows = {};   ///< tells the rows that were scored from others; "": not known
  std::string split = {};  ///< that they are of (dev, held-out); "": not known
};

/// The mean over k tasks of each task's mean over its seeds. The tasks are those of interest, the
/// seeds a sample: the interval is of what other seeds would give on the same tasks. What a seed
/// does to several tasks alike (the same start of the adapter, the same order of rows) counts, and
/// tasks may vary unequally. With m_i, s_i^2, n_i the mean, variance and number of the finite
/// scores x_is of task i, n_ij the number of seeds that tasks i and j share,
///
///   SE = sqrt(sum_s u_s^2) / k,       u_s = sum_(i that has s) (x_is - m_i) / sqrt(n_i (n_i - 1)),
///   df = (sum_i v_i)^2 / sum_ij v_i v_j h_ij,                                     v_i = s_i^2 /
///   n_i, h_ij = n_ij (1 - 1/n_i - 1/n_j + n_ij / (n_i n_j)) / ((n_i - 1) (n_j - 1)),
///
/// and the interval is mean +- t(confidence, df) SE. Where every task has the same n seeds this is
/// Student's interval of the n means over tasks, with n - 1 degrees of freedom, exact for normal
/// scores; where no two tasks share a seed it is Welch's with Satterthwaite's degrees of freedom.
/// Simulated coverage of 95 %: docs/commands.md, tests/analysis/statistics/coverage_test.cpp.
///
/// A task without a finite score leaves no value, one with a single one no interval. Throws Error
/// for no tasks, a task without scores, and a seed that a task has twice.
/// Source: Bell, McCaffrey, "Bias reduction in standard errors for linear regression with
/// multi-stage samples", Survey Methodology 28 (2002), with seeds as clusters.
Estimate estimate_over_tasks(std::span<const std::vector<SeedScore>> tasks,
                             const Bounds& possible = unbounded, double confidence = 0.95);

/// The mean of the values that are left when floor(n / 4) are cut off at either end (scipy's
/// trim_mean with 0.25, which rliable takes). Throws Error for no values and for values that are
/// not finite.
double interquartile_mean(std::span<const double> values);

/// The interquartile mean of all N finite scores together. Its interval is that of
/// estimate_over_tasks for the scores winsorised at the cuts (those cut off take the value of the
/// nearest that is left), task i weighing n_i / (N - 2 floor(N / 4)), after Tukey and McLaughlin
/// (Sankhya A 25, 1963). Below five tasks its coverage falls to 85 % and there is no interval.
constexpr std::size_t fewest_interquartile_tasks = 5;
Estimate estimate_interquartile_mean(std::span<const std::vector<SeedScore>> tasks,
                                     const Bounds& possible = unbounded, double confidence = 0.95);

}  // namespace rankfold
