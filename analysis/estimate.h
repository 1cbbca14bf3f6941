#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace rankfold {

struct Bounds {
  double low = 0, high = 0;
};

/// What scores say about a quantity. Scores that are not finite are runs that diverged: they are
/// counted and take no part in the numbers. What the scores cannot tell is empty, never 0.
struct Estimate {
  std::optional<double> value;
  std::optional<double> standard_error;
  std::optional<Bounds> interval;
  std::size_t count = 0;     ///< finite scores, those that the numbers rest on
  std::size_t diverged = 0;  ///< scores that are NaN or infinite
};

/// The mean, its standard error s / sqrt(n) and Student's interval mean +- t(confidence, n - 1)
/// s / sqrt(n). One finite score has a mean and no more; none have no mean either. Throws Error
/// for no scores at all and unless 0 < confidence < 1.
Estimate estimate_mean(std::span<const double> scores, double confidence = 0.95);

/// The mean of the values that are left when floor(n / 4) are cut off at either end (scipy's
/// trim_mean with 0.25, which rliable takes). Throws Error for no values and for values that are
/// not finite.
double interquartile_mean(std::span<const double> values);

/// How to bootstrap. The resamples are a function of `seed` and of the number of finite scores in
/// each stratum, so two methods with equal numbers are resampled alike.
struct Bootstrap {
  std::size_t resamples = 10000;
  double confidence = 0.95;
  std::uint64_t seed = 0;
};

/// The mean over strata of each stratum's mean, and the interquartile mean of all finite scores
/// together, both from one stratified bootstrap: every resample draws, within each stratum (a
/// task), as many of its scores (seeds) with replacement as it has. The standard error is the
/// deviation of the resamples; the interval runs between their percentiles (1 -+ confidence) / 2,
/// interpolated linearly.
///
/// Both are empty unless every stratum has two finite scores: one alone does not vary in a
/// resample, and the interval would be too narrow. A stratum without any leaves no value. Throws
/// Error for no strata, an empty stratum, fewer than 2 resamples, a confidence outside (0, 1).
/// Source: Agarwal, Schwarzer, Castro, Courville, Bellemare, "Deep reinforcement learning at the
/// edge of the statistical precipice", NeurIPS 2021, arXiv 2108.13264.
struct BootstrapMeans {
  Estimate mean, interquartile_mean;
};
BootstrapMeans bootstrap_means(std::span<const std::vector<double>> strata,
                               const Bootstrap& how = {});

}  // namespace rankfold
