#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace rankfold {

/// A method's score at one size: the mean over seeds, with its standard error where it is known.
/// A size is a number of parameters or a rank.
struct SizedScore {
  double size = 0;
  double score = 0;
  std::optional<double> standard_error;
};

/// A value read from a curve, and the number of points that were left out because their score is
/// not finite. What the others cannot tell is empty.
struct CurveValue {
  std::optional<double> value;
  std::optional<double> standard_error;
  std::size_t diverged = 0;
};

/// Positions, by growing size, of the points that nothing dominates. A point dominates another if
/// it is no larger and scores no less, and is better in at least one of the two; equal points stay
/// together. The `untouched` model's score (method none: no parameters) dominates every point that
/// does not score more. Points with a score that is not finite are left out. Throws Error for no
/// points and for a size that is not positive and finite. Time n log n.
std::vector<std::size_t> pareto_front(std::span<const SizedScore> points,
                                      std::optional<double> untouched = {});

/// The functions below throw Error for no points, for a size that is not positive and finite, and
/// for two points of one size (average them first); points with a score that is not finite are left
/// out. They interpolate linearly on the axis log10(size):
///
///   score(x) = (1 - w) s_i + w s_(i+1),  w = log(x / x_i) / log(x_(i+1) / x_i),
///
/// for neighbours x_i <= x <= x_(i+1). Nothing is extrapolated.

/// The area under score against log10(size) by trapezoids, over the log range: a mean score on the
/// axis of orders of magnitude. It holds for the curve's own range alone: compare methods measured
/// over one range. Empty for fewer than two points.
///
/// The value is sum_i c_i s_i, so its standard error is sqrt(sum_i (c_i e_i)^2) for independent
/// points; empty where that of a point is.
CurveValue area_under_curve(std::span<const SizedScore> points);

/// The score at a budget. Standard error sqrt(((1 - w) e_i)^2 + (w e_(i+1))^2) for independent
/// neighbours, empty where one of theirs is; on a point, that of the point. It is the noise of the
/// measurements: that the curve bends between them is not in it. Empty outside the sizes measured.
/// Throws Error for a budget that is not positive and finite.
CurveValue score_at_budget(std::span<const SizedScore> points, double budget);

/// Where a curve first reaches a target.
struct Reach {
  std::optional<double> size;  ///< empty: not reached
  bool at_most = false;  ///< the smallest size measured reaches it: the true one may be smaller
  std::size_t diverged = 0;
};

/// The smallest size whose score reaches share * reference (99 % of full fine-tuning): the first
/// point that does, or the crossing between it and the point before. Throws Error for a reference
/// or share that is not positive and finite (a share of a negative score lies above it).
Reach size_to_reach(std::span<const SizedScore> points, double reference, double share = 0.99);

}  // namespace rankfold
