#include "analysis/tables/sheet_numbers.h"

#include <gtest/gtest.h>

namespace rankfold {
namespace {

TEST(SheetNumbers, HaveDigitsBehindThePointUnlessThoseWouldAllBeZero) {
  EXPECT_EQ(fixed_text(84.996, 2), "85.00");
  EXPECT_EQ(fixed_text(0.005001, 2), "0.01");
  EXPECT_EQ(fixed_text(0.0049, 2), "4.90e-03");
  EXPECT_EQ(fixed_text(-3.2e-7, 2), "-3.20e-07");
  EXPECT_EQ(fixed_text(1e-200, 3), "1.000e-200");
  EXPECT_EQ(fixed_text(1.5e300, 2), "1.50e+300");
  EXPECT_EQ(fixed_text(0.4, 0), "4e-01");
  EXPECT_EQ(fixed_text(12.3, 0), "12");
}

TEST(SheetNumbers, GiveZeroNoSign) {
  EXPECT_EQ(fixed_text(-0.0, 2), "0.00");
  EXPECT_EQ(signed_text(0.0, 2), "0.00");
  EXPECT_EQ(signed_text(-0.0, 1), "0.0");
  EXPECT_EQ(signed_text(0.001, 2), "+1.00e-03");
  EXPECT_EQ(signed_text(-1.239, 2), "-1.24");
}

TEST(SheetNumbers, TellBothSidesOfAnIntervalThatWasCutOff) {
  const auto estimate = [](double value, double low, double high) {
    Estimate found;
    found.value = value;
    found.interval = Bounds{low, high};
    return found;
  };
  EXPECT_EQ(spread_text(estimate(0.8, 0.7, 0.9), 1, 100).with_sign(), " \u00b1 10.0");
  EXPECT_EQ(spread_text(estimate(0.8, 0, 1), 1, 100).with_sign(), " -80.0/+20.0");
  EXPECT_EQ(spread_text(estimate(0.8, 0.8, 0.8), 2, 100).with_sign(), " \u00b1 0.00");
  EXPECT_EQ(spread_text(estimate(1, 0.5, 1), 2).with_sign(), " -0.50/+0.00");
  Estimate single;
  single.value = 0.8;
  EXPECT_EQ(spread_text(single, 2).with_sign(), "");
  EXPECT_EQ(diverged_text(0), "");
  EXPECT_EQ(diverged_text(2), "2 diverged");
}

}  // namespace
}  // namespace rankfold
