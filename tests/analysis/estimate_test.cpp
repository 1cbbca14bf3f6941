#include "analysis/estimate.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "analysis/distributions.h"
#include "core/error.h"
#include "statistics_golden.h"

namespace rankfold {
namespace {

using Values = std::vector<double>;
using Strata = std::vector<Values>;

const double not_a_number = std::numeric_limits<double>::quiet_NaN();
const double infinite = std::numeric_limits<double>::infinity();

TEST(Distributions, AgreeWithScipy) {
  const auto& golden = statistics_golden();
  Largest beta("incomplete beta"), p("Student's p"), t("Student's quantile"), normal("normal p");
  for (const auto& item : golden.at("beta"))
    beta.add(incomplete_beta(item.at("a"), item.at("b"), item.at("x")), item.at("value"));
  for (const auto& item : golden.at("student"))
    p.add(student_t_two_sided(item.at("t"), item.at("nu")), item.at("p"));
  for (const auto& item : golden.at("quantile"))
    t.add(student_t_quantile(item.at("confidence"), item.at("nu")), item.at("t"));
  for (const auto& item : golden.at("normal"))
    normal.add(normal_two_sided(item.at("z")), item.at("p"));
  beta.expect_below(1e-11);
  p.expect_below(1e-10);
  t.expect_below(1e-11);
  normal.expect_below(1e-13);
}

TEST(Distributions, RefuseWhatIsNotDefined) {
  EXPECT_THROW(incomplete_beta(0, 1, 0.5), Error);
  EXPECT_THROW(incomplete_beta(1, 1, 1.5), Error);
  EXPECT_THROW(incomplete_beta(1, 1, not_a_number), Error);
  EXPECT_THROW(student_t_two_sided(1, 0), Error);
  EXPECT_THROW(student_t_quantile(1, 5), Error);
  EXPECT_EQ(student_t_two_sided(infinite, 5), 0);
}

TEST(Estimate, MeanAndStudentsIntervalAgreeWithScipy) {
  Largest difference("mean and interval");
  for (const auto& item : statistics_golden().at("means")) {
    const Values scores = item.at("scores");
    const Estimate found = estimate_mean(scores);
    difference.add(found.value.value(), item.at("mean"));
    difference.add(found.standard_error.value(), item.at("standard_error"));
    difference.add(found.interval.value().low, item.at("low"));
    difference.add(found.interval.value().high, item.at("high"));
    difference.add(interquartile_mean(scores), item.at("interquartile_mean"));
    EXPECT_EQ(found.count, scores.size());
  }
  difference.expect_below(1e-12);
}

TEST(Estimate, OneScoreHasNoInterval) {
  const Estimate one = estimate_mean(Values{0.7});
  EXPECT_EQ(one.value, 0.7);
  EXPECT_FALSE(one.standard_error);
  EXPECT_FALSE(one.interval);
}

TEST(Estimate, DivergedRunsAreCountedAndNotAveraged) {
  const Estimate some = estimate_mean(Values{0.5, not_a_number, 0.7, infinite, -infinite});
  EXPECT_DOUBLE_EQ(some.value.value(), 0.6);
  EXPECT_EQ(some.count, 2U);
  EXPECT_EQ(some.diverged, 3U);
  const Estimate all = estimate_mean(Values{not_a_number});
  EXPECT_FALSE(all.value);
  EXPECT_EQ(all.diverged, 1U);

  const Estimate strata = bootstrap_means(Strata{{1, 2, not_a_number}, {5, 7}}).mean;
  EXPECT_DOUBLE_EQ(strata.value.value(), (1.5 + 6) / 2);
  EXPECT_EQ(strata.diverged, 1U);
  EXPECT_FALSE(bootstrap_means(Strata{{1, 2}, {not_a_number}}).mean.value);
}

TEST(Estimate, RefusesNothing) {
  EXPECT_THROW(estimate_mean({}), Error);
  EXPECT_THROW(estimate_mean(Values{1, 2}, 1), Error);
  EXPECT_THROW(interquartile_mean({}), Error);
  EXPECT_THROW(interquartile_mean(Values{1, not_a_number}), Error);
  EXPECT_THROW(bootstrap_means({}), Error);
  EXPECT_THROW(bootstrap_means(Strata{{1, 2}, {}}), Error);
  EXPECT_THROW(bootstrap_means(Strata{{1, 2}}, {.resamples = 1}), Error);
  EXPECT_THROW(bootstrap_means(Strata{{1, 2}}, {.confidence = 0}), Error);
}

TEST(Estimate, InterquartileMeanLeavesAQuarterOutAtEitherEnd) {
  EXPECT_DOUBLE_EQ(interquartile_mean(Values{100, 1, 2, 3, 4, 5, 6, -100}), (2 + 3 + 4 + 5) / 4.0);
  EXPECT_DOUBLE_EQ(interquartile_mean(Values{1, 2, 6}), 3);
}

// Resamples of one stratum (1, 2): mean 1, 1.5 or 2 with probabilities 1/4, 1/2, 1/4.
TEST(Bootstrap, DrawsEveryScoreEquallyOften) {
  const Estimate found = bootstrap_means(Strata{{1, 2}}, {.resamples = 40000}).mean;
  EXPECT_NEAR(found.standard_error.value(), std::sqrt(0.125), 0.003);
  EXPECT_DOUBLE_EQ(found.interval.value().low, 1);
  EXPECT_DOUBLE_EQ(found.interval.value().high, 2);
}

TEST(Bootstrap, NeverDrawsAcrossStrata) {
  const Estimate found = bootstrap_means(Strata{{1, 1}, {5, 5, 5}}).mean;
  EXPECT_EQ(found.standard_error, 0);
  EXPECT_EQ(found.interval.value().low, 3);
  EXPECT_EQ(found.interval.value().high, 3);
}

TEST(Bootstrap, AStratumOfOneScoreHasNoInterval) {
  const Estimate found = bootstrap_means(Strata{{1, 2}, {4}}).mean;
  EXPECT_DOUBLE_EQ(found.value.value(), 2.75);
  EXPECT_FALSE(found.standard_error);
  EXPECT_FALSE(found.interval);
}

TEST(Bootstrap, IsAFunctionOfItsSeed) {
  const Strata strata = {{0.1, 0.5, 0.7, 0.75}, {0.3, 0.35, 0.5}};
  const Estimate once = bootstrap_means(strata).interquartile_mean,
                 again = bootstrap_means(strata).interquartile_mean;
  EXPECT_EQ(once.standard_error, again.standard_error);
  EXPECT_EQ(once.interval.value().low, again.interval.value().low);
  EXPECT_NE(once.standard_error,
            bootstrap_means(strata, {.seed = 1}).interquartile_mean.standard_error);
}

/// Up to rounding: equal resamples may be summed in another order.
bool lies_in(double value, const Values& bracket) {
  return value >= bracket.at(0) - 1e-12 && value <= bracket.at(1) + 1e-12;
}

// Beside 400000 resamples by numpy.
TEST(Bootstrap, AgreesWithNumpyWithinItsOwnNoise) {
  for (const auto& item : statistics_golden().at("bootstraps")) {
    const Strata strata = item.at("strata");
    const BootstrapMeans means = bootstrap_means(strata, {.resamples = 40000});
    for (const auto& [name, found] : {std::pair{"mean", means.mean},
                                      std::pair{"interquartile_mean", means.interquartile_mean}}) {
      const auto& expected = item.at(name);
      const double error = expected.at("standard_error");
      EXPECT_NEAR(found.value.value(), expected.at("value"), 1e-14) << name;
      EXPECT_NEAR(found.standard_error.value() / error, 1, 0.02) << name;
      EXPECT_TRUE(lies_in(found.interval.value().low, expected.at("low"))) << name;
      EXPECT_TRUE(lies_in(found.interval.value().high, expected.at("high"))) << name;
    }
  }
}

}  // namespace
}  // namespace rankfold
