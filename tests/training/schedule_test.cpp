#include "experiments/training/schedule.h"

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

TEST(Schedule, LinearRisesFromZeroAndFallsToZero) {
  const Schedule schedule{ScheduleKind::linear, 3, 12};
  EXPECT_EQ(schedule.factor(0), 0);
  EXPECT_DOUBLE_EQ(schedule.factor(1), 1.0 / 3);
  EXPECT_DOUBLE_EQ(schedule.factor(2), 2.0 / 3);
  EXPECT_DOUBLE_EQ(schedule.factor(3), 1);
  EXPECT_DOUBLE_EQ(schedule.factor(11), 1.0 / 9);
  EXPECT_EQ(schedule.factor(12), 0);
  EXPECT_EQ(schedule.factor(100), 0);
}

TEST(Schedule, PolynomialHasTheFactorsOfLotrsTrainer) {
  // LoTR's runner on CoLA: batch 16, 20 epochs, 320 warm-up steps of 8551 * 20 / 16.
  const Schedule schedule{ScheduleKind::polynomial, 320, 8551 * 20 / 16.0, 1e-3};
  EXPECT_EQ(schedule.factor(0), 0);
  EXPECT_NEAR(schedule.factor(1), 0.003125, 1e-12);
  EXPECT_NEAR(schedule.factor(160), 0.5, 1e-12);
  EXPECT_NEAR(schedule.factor(319), 0.996875, 1e-12);
  EXPECT_NEAR(schedule.factor(320), 1, 1e-12);
  EXPECT_NEAR(schedule.factor(5344), 0.515516, 1e-6);
  EXPECT_NEAR(schedule.factor(10688), 0.000172, 1e-6);
  EXPECT_NEAR(schedule.factor(10689), 0.0001, 1e-9);
}

TEST(Schedule, CosineIsHalfwayInTheMiddle) {
  const Schedule schedule{ScheduleKind::cosine, 2, 12};
  EXPECT_DOUBLE_EQ(schedule.factor(2), 1);
  EXPECT_NEAR(schedule.factor(7), 0.5, 1e-12);
  EXPECT_NEAR(schedule.factor(12), 0, 1e-12);
}

TEST(Schedule, ConstantStaysAfterItsWarmUp) {
  const Schedule schedule{ScheduleKind::constant, 4, 10};
  EXPECT_DOUBLE_EQ(schedule.factor(1), 0.25);
  EXPECT_EQ(schedule.factor(4), 1);
  EXPECT_EQ(schedule.factor(50), 1);
}

TEST(Schedule, WithoutWarmUpTheFirstStepHasTheWholeRate) {
  EXPECT_EQ((Schedule{ScheduleKind::linear, 0, 5}.factor(0)), 1);
  EXPECT_EQ((Schedule{ScheduleKind::cosine, 0, 1}.factor(0)), 1);
}

TEST(Schedule, WarmUpStepsAreRoundedUp) {
  EXPECT_EQ(warmup_steps(0.06, 100), 6U);
  EXPECT_EQ(warmup_steps(0.06, 101), 7U);
  EXPECT_EQ(warmup_steps(0.07, 100), 7U);  // 0.07 * 100 is 7.000000000000001 in binary
  EXPECT_EQ(warmup_steps(0.25, 12), 3U);
  EXPECT_EQ(warmup_steps(0, 12), 0U);
  EXPECT_EQ(warmup_steps(1, 12), 1U) << "1 or more are steps";
  EXPECT_EQ(warmup_steps(500, 12), 500U);
}

TEST(Schedule, SaysWhereNoStepHasTheFullRate) {
  EXPECT_EQ(warmup_note(1, 2), "");
  EXPECT_EQ(warmup_note(0, 1), "");
  EXPECT_EQ(
      warmup_note(5, 3),
      "--warmup: the rate rises for 5 steps and the run has 3, so that it never reaches --lr");
  EXPECT_EQ(warmup_note(warmup_steps(0.06, 1), 1),
            "--warmup: the only step of the run is the first of its rise, with rate 0: nothing is "
            "learned; expected --warmup 0, or more steps");
}

TEST(Schedule, NamesTheNearestScheduleOfAWrongName) {
  EXPECT_EQ(parse_schedule("cosine"), ScheduleKind::cosine);
  try {
    parse_schedule("cosin");
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("cosine"), std::string::npos);
  }
}

}  // namespace
}  // namespace rankfold
