#include "analysis/statistics/efficiency.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "analysis/statistics/statistics_golden.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

using ::testing::ElementsAre;
using Points = std::vector<SizedScore>;

SizedScore point(double size, double score, std::optional<double> error = {}) {
  return {.size = size, .score = score, .standard_error = error};
}

TEST(ParetoFront, KeepsWhatNoOtherPointDominates) {
  const Points points = {point(100, 0.7),  point(10, 0.5), point(50, 0.4),        point(100, 0.6),
                         point(1000, 0.7), point(10, 0.5), point(5, not_a_number)};
  EXPECT_THAT(pareto_front(points), ElementsAre(1, 5, 0));
}

TEST(ParetoFront, HoldsNothingThatTheUntouchedModelDominates) {
  const Points points = {point(10, 0.5), point(50, 0.6), point(100, 0.7)};
  EXPECT_THAT(pareto_front(points, 0.4), ElementsAre(0, 1, 2));
  EXPECT_THAT(pareto_front(points, 0.6), ElementsAre(2));  // as good with parameters is no better
  EXPECT_THAT(pareto_front(points, 0.7), ElementsAre());
  EXPECT_THAT(pareto_front(points, not_a_number), ElementsAre(0, 1, 2));
}

TEST(Curve, AreaAndInterpolationAgreeWithNumpy) {
  Largest difference("area and interpolation");
  for (const auto& item : statistics_golden().at("curves")) {
    Points points;  // largest first: the order must not matter
    for (std::size_t i = item.at("size").size(); i-- > 0;)
      points.push_back(point(item.at("size")[i], item.at("score")[i]));
    difference.add(area_under_curve(points).value.value(), item.at("area"));
    difference.add(score_at_budget(points, item.at("budget")).value.value(), item.at("at_budget"));
  }
  difference.expect_below(1e-13);
}

// Two decades: the score halfway on the log axis between 10 and 1000 is that at 100.
TEST(Curve, UncertaintyComesFromTheNeighbours) {
  const Points points = {point(10, 0.4, 0.03), point(1000, 0.8, 0.04), point(1e5, 0.9, 0.1)};
  const CurveValue middle = score_at_budget(points, 100);
  EXPECT_DOUBLE_EQ(middle.value.value(), 0.6);
  EXPECT_DOUBLE_EQ(middle.standard_error.value(), 0.025);
  EXPECT_EQ(score_at_budget(points, 1000).standard_error, 0.04);
  const CurveValue area = area_under_curve(points);
  EXPECT_DOUBLE_EQ(area.value.value(), 0.25 * 0.4 + 0.5 * 0.8 + 0.25 * 0.9);
  EXPECT_DOUBLE_EQ(area.standard_error.value(), std::sqrt(0.0075 * 0.0075 + 0.0004 + 0.000625));
}

TEST(Curve, AnUnknownUncertaintyStaysUnknown) {
  const Points points = {point(10, 0.4, 0.03), point(1000, 0.8), point(1e5, 0.9, 0.1)};
  EXPECT_FALSE(score_at_budget(points, 100).standard_error);
  EXPECT_TRUE(score_at_budget(points, 10).standard_error);
  EXPECT_FALSE(area_under_curve(points).standard_error);
}

TEST(Curve, IsNeverExtrapolated) {
  const Points points = {point(10, 0.4), point(1000, 0.8)};
  EXPECT_FALSE(score_at_budget(points, 9).value);
  EXPECT_FALSE(score_at_budget(points, 1001).value);
  EXPECT_FALSE(area_under_curve(Points{point(10, 0.4)}).value);
  EXPECT_FALSE(size_to_reach(points, 0.9).size);
}

TEST(Curve, DivergedPointsAreCountedAndLeftOut) {
  const Points points = {point(10, 0.4), point(100, not_a_number), point(1000, 0.8)};
  EXPECT_DOUBLE_EQ(score_at_budget(points, 100).value.value(), 0.6);
  EXPECT_EQ(score_at_budget(points, 100).diverged, 1U);
  EXPECT_DOUBLE_EQ(area_under_curve(points).value.value(), 0.6);
  EXPECT_EQ(area_under_curve(points).diverged, 1U);
  EXPECT_EQ(size_to_reach(points, 0.5).diverged, 1U);
  EXPECT_FALSE(area_under_curve(Points{point(1, not_a_number)}).value);
}

TEST(SizeToReach, IsTheFirstCrossingOnTheLogAxis) {
  const Points points = {point(10, 0.4), point(1000, 0.8), point(1e4, 0.7), point(1e5, 0.9)};
  const Reach reach = size_to_reach(points, 0.6, 1);
  EXPECT_NEAR(reach.size.value(), 100, 1e-11);
  EXPECT_FALSE(reach.at_most);
  EXPECT_DOUBLE_EQ(size_to_reach(points, 0.8 / 0.99).size.value(), 1000);
  EXPECT_NEAR(size_to_reach(points, 1, 0.8).size.value(), 1000, 1e-9);
}

TEST(SizeToReach, SaysWhereTheSmallestSizeIsEnough) {
  const Reach reach = size_to_reach(Points{point(8, 0.7), point(4, 0.6)}, 0.5);
  EXPECT_EQ(reach.size, 4);
  EXPECT_TRUE(reach.at_most);
}

TEST(Curve, RefusesWhatHasNoPlaceOnTheAxis) {
  const Points one = {point(1, 1)};
  EXPECT_THROW(pareto_front({}), Error);
  EXPECT_THROW(area_under_curve({}), Error);
  EXPECT_THROW(score_at_budget({}, 1), Error);
  EXPECT_THROW(size_to_reach({}, 1), Error);
  for (const double size : {0.0, -1.0, not_a_number, double{INFINITY}}) {
    EXPECT_THROW(pareto_front(Points{point(size, 1)}), Error);
    EXPECT_THROW(area_under_curve(Points{point(size, 1)}), Error);
    EXPECT_THROW(score_at_budget(one, size), Error);
    EXPECT_THROW(size_to_reach(one, size), Error);
    EXPECT_THROW(size_to_reach(one, 1, size), Error);
  }
  EXPECT_THROW(area_under_curve(Points{point(8, 1), point(8, 2)}), Error);
}

}  // namespace
}  // namespace rankfold
