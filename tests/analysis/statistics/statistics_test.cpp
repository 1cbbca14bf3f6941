#include "analysis/statistics/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/error.h"

namespace rankfold {
namespace {

TEST(Statistics, MeanDoesNotDependOnTheOrder) {
  const std::vector<double> values = {0.1, 0.7, 1e9, 0.2}, turned = {1e9, 0.2, 0.7, 0.1};
  EXPECT_EQ(mean(values), mean(turned));
  EXPECT_DOUBLE_EQ(mean(std::vector<double>{1, 2, 6}), 3);
}

TEST(Statistics, StandardErrorIsTheSampleDeviationOverTheRootOfTheCount) {
  // Deviations -2, 0, 2: variance 8 / 2 = 4, standard error 2 / sqrt(3).
  EXPECT_DOUBLE_EQ(standard_error(std::vector<double>{1, 3, 5}), 2 / std::sqrt(3.0));
}

TEST(Statistics, EqualValuesHaveNoDeviation) {
  EXPECT_EQ(mean(std::vector<double>(3, 0.1)), 0.1);
  EXPECT_EQ(standard_error(std::vector<double>(3, 0.1)), 0);
}

TEST(Statistics, StandardErrorNeitherUnderflowsNorOverflows) {
  EXPECT_NEAR(standard_error(std::vector<double>{1e-200, 3e-200, 5e-200}) * 1e200,
              2 / std::sqrt(3.0), 1e-14);
  EXPECT_NEAR(standard_error(std::vector<double>{1e200, 3e200, 5e200}) / 1e200, 2 / std::sqrt(3.0),
              1e-14);
}

TEST(Statistics, RefusesTooFewValues) {
  EXPECT_THROW(mean({}), Error);
  EXPECT_THROW(standard_error(std::vector<double>{1}), Error);
}

}  // namespace
}  // namespace rankfold
