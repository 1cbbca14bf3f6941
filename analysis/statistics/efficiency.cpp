#include "analysis/statistics/efficiency.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace rankfold {
namespace {

void verify_sizes(std::span<const SizedScore> points) {
  if (points.empty()) throw Error("no sizes with a score: expected one or more");
  for (const SizedScore& point : points) {
    if (!(point.size > 0) || std::isinf(point.size)) {
      throw Error("size {} has no logarithm: expected a positive, finite number", point.size);
    }
  }
}

/// The finite points by size.
std::vector<SizedScore> curve(std::span<const SizedScore> points) {
  verify_sizes(points);
  std::vector<SizedScore> sorted;
  for (const SizedScore& point : points)
    if (std::isfinite(point.score)) sorted.push_back(point);
  std::sort(sorted.begin(), sorted.end(),
            [](const SizedScore& a, const SizedScore& b) { return a.size < b.size; });
  const auto twice = std::adjacent_find(
      sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.size == b.size; });
  if (twice != sorted.end()) {
    throw Error("size {} has two scores on one curve: expected one", twice->size);
  }
  return sorted;
}

}  // namespace

std::vector<std::size_t> pareto_front(std::span<const SizedScore> points,
                                      std::optional<double> untouched) {
  verify_sizes(points);
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < points.size(); ++i)
    if (std::isfinite(points[i].score)) order.push_back(i);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    if (points[a].size != points[b].size) return points[a].size < points[b].size;
    return points[a].score > points[b].score;
  });
  std::vector<std::size_t> front;
  double best = untouched && std::isfinite(*untouched) ? *untouched : -INFINITY;
  for (const std::size_t i : order) {
    const bool is_twin = !front.empty() && points[front.back()].size == points[i].size &&
                         points[front.back()].score == points[i].score;
    if (!is_twin && points[i].score <= best) continue;
    front.push_back(i);
    best = points[i].score;
  }
  return front;
}

CurveValue area_under_curve(std::span<const SizedScore> points) {
  const std::vector<SizedScore> sorted = curve(points);
  CurveValue area{.value = {}, .standard_error = {}, .diverged = points.size() - sorted.size()};
  if (sorted.size() < 2) return area;
  const double range = std::log10(sorted.back().size / sorted.front().size);
  double value = 0, variance = 0;
  bool known = true;
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const std::size_t before = i == 0 ? 0 : i - 1, after = std::min(i + 1, sorted.size() - 1);
    const double share = std::log10(sorted[after].size / sorted[before].size) / 2 / range;
    value += share * sorted[i].score;
    known = known && sorted[i].standard_error;
    variance += std::pow(share * sorted[i].standard_error.value_or(0), 2);
  }
  area.value = value;
  if (known) area.standard_error = std::sqrt(variance);
  return area;
}

CurveValue score_at_budget(std::span<const SizedScore> points, double budget) {
  const std::vector<SizedScore> sorted = curve(points);
  if (!(budget > 0) || std::isinf(budget)) {
    throw Error("a budget of {} has no logarithm: expected a positive, finite number", budget);
  }
  CurveValue found{.value = {}, .standard_error = {}, .diverged = points.size() - sorted.size()};
  const auto right =
      std::lower_bound(sorted.begin(), sorted.end(), budget,
                       [](const SizedScore& point, double size) { return point.size < size; });
  if (right == sorted.end()) return found;
  if (right->size == budget) {
    found.value = right->score;
    found.standard_error = right->standard_error;
    return found;
  }
  if (right == sorted.begin()) return found;
  const auto left = right - 1;
  const double w = std::log(budget / left->size) / std::log(right->size / left->size);
  found.value = std::lerp(left->score, right->score, w);
  if (left->standard_error && right->standard_error) {
    found.standard_error = std::hypot((1 - w) * *left->standard_error, w * *right->standard_error);
  }
  return found;
}

Reach size_to_reach(std::span<const SizedScore> points, double reference, double share) {
  const std::vector<SizedScore> sorted = curve(points);
  const double target = share * reference;
  if (!(reference > 0) || !(share > 0) || !std::isfinite(target)) {
    throw Error(
        "a share {} of the reference score {} is no target: expected positive, finite "
        "numbers",
        share, reference);
  }
  Reach reach{.size = {}, .at_most = false, .diverged = points.size() - sorted.size()};
  const auto right = std::find_if(sorted.begin(), sorted.end(), [target](const SizedScore& point) {
    return point.score >= target;
  });
  if (right == sorted.end()) return reach;
  reach.at_most = right == sorted.begin();
  if (reach.at_most) {
    reach.size = right->size;
    return reach;
  }
  const auto left = right - 1;
  const double w = (target - left->score) / (right->score - left->score);
  reach.size = left->size * std::pow(right->size / left->size, w);
  return reach;
}

}  // namespace rankfold
