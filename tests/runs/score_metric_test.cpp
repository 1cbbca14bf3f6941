#include "experiments/runs/score_metric.h"

#include <gtest/gtest.h>

#include "experiments/runs/results.h"

namespace rankfold {
namespace {

TEST(ScoreMetric, KnowsTheRangeOfWhatRankfoldMeasures) {
  EXPECT_EQ(score_metric("accuracy").shown_range().low, 0);
  EXPECT_EQ(score_metric("accuracy").shown_range().high, 100);
  EXPECT_EQ(score_metric("accuracy_mismatched").range.high, 1);
  EXPECT_EQ(score_metric("f1").range.low, 0);
  for (const char* correlation : {"matthews_correlation", "pearson", "spearman"})
    EXPECT_EQ(score_metric(correlation).range.low, -1) << correlation;
  EXPECT_EQ(score_metric("relative_error").range.low, 0);
  EXPECT_TRUE(std::isinf(score_metric("relative_error").range.high));
  EXPECT_TRUE(std::isinf(score_metric("rating").range.low));
  EXPECT_EQ(score_metric("rating").label, "rating");
}

TEST(ScoreMetric, TellsWhichScoresArePossible) {
  EXPECT_TRUE(score_is_possible("accuracy", 1 + 1e-7));  // rounded to single precision
  EXPECT_FALSE(score_is_possible("accuracy", 61.63));
  EXPECT_FALSE(score_is_possible("accuracy", -0.2));
  EXPECT_TRUE(score_is_possible("matthews_correlation", -0.2));
  EXPECT_FALSE(score_is_possible("relative_error", -0.2));
  EXPECT_TRUE(score_is_possible("rating", 7.5));
}

TEST(ScoreMetric, OfAnErrorsNameIsBetterWhereItIsLessAndNeverNegative) {
  for (const char* name : {"eval_loss", "rmse", "test-MSE", "perplexity", "relative_error"}) {
    EXPECT_TRUE(score_metric(name).less_is_better) << name;
    EXPECT_EQ(score_metric(name).range.low, 0) << name;
  }
  for (const char* name : {"accuracy", "lossless_rate", "bleu", "terror_score"})
    EXPECT_FALSE(score_metric(name).less_is_better) << name;
  EXPECT_FALSE(score_metric("bleu").is_known);
}

TEST(ScoreMetric, HasTheUsualNamesOfOtherPrograms) {
  EXPECT_EQ(score_metric("spearmanr").label, score_metric("spearman").label);
  EXPECT_EQ(score_metric("acc").factor, 100);
}

}  // namespace
}  // namespace rankfold
