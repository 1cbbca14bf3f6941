#include "analysis/statistics/paired_tests.h"

#include <limits>

#include <gtest/gtest.h>

#include "analysis/statistics/statistics_golden.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

using Pairs = std::vector<ScorePair>;

TEST(PairedTests, AgreeWithScipy) {
  Largest t("paired t"), t_p("p of the paired t test"), w_p("p of Wilcoxon's test");
  for (const auto& item : statistics_golden().at("pairs")) {
    Pairs pairs;
    for (std::size_t i = 0; i < item.at("first").size(); ++i)
      pairs.push_back({item.at("first")[i], item.at("second")[i]});
    const PairedTest student = paired_t_test(pairs), wilcoxon = wilcoxon_signed_rank(pairs);
    t.add(student.statistic.value(), item.at("t"));
    t.add(student.mean_difference.value(), item.at("mean_difference"));
    t_p.add(student.p_value.value(), item.at("t_p"));
    EXPECT_EQ(wilcoxon.statistic, item.at("w").get<double>()) << item.at("name");
    EXPECT_EQ(wilcoxon.exact, item.at("exact").get<bool>()) << item.at("name");
    w_p.add(wilcoxon.p_value.value(), item.at("w_p"));
  }
  t.expect_below(1e-11);
  t_p.expect_below(1e-11);
  w_p.expect_below(1e-12);
}

TEST(PairedTests, HolmAgreesWithStatsmodels) {
  Largest difference("Holm");
  for (const auto& item : statistics_golden().at("holm")) {
    const std::vector<double> adjusted = holm_correction(item.at("p").get<std::vector<double>>());
    ASSERT_EQ(adjusted.size(), item.at("adjusted").size());
    for (std::size_t i = 0; i < adjusted.size(); ++i)
      difference.add(adjusted[i], item.at("adjusted")[i]);
  }
  difference.expect_below(1e-14);
}

TEST(PairedTests, SwappingTheMethodsTurnsTheSignAlone) {
  const Pairs pairs = {{1, 2}, {2, 5}, {3, 2.5}, {4, 8}};
  Pairs swapped;
  for (const ScorePair& pair : pairs) swapped.push_back({pair.second, pair.first});
  EXPECT_EQ(*paired_t_test(pairs).statistic, -*paired_t_test(swapped).statistic);
  EXPECT_EQ(paired_t_test(pairs).p_value, paired_t_test(swapped).p_value);
  EXPECT_EQ(wilcoxon_signed_rank(pairs).p_value, wilcoxon_signed_rank(swapped).p_value);
}

TEST(PairedTests, APairWithADivergedRunTakesNoPart) {
  const Pairs finite = {{1, 2}, {2, 5}, {3, 2.5}};
  Pairs pairs = finite;
  pairs.push_back({not_a_number, 1});
  pairs.push_back({1, std::numeric_limits<double>::infinity()});
  for (const auto test : {paired_t_test, wilcoxon_signed_rank}) {
    EXPECT_EQ(test(pairs).p_value, test(finite).p_value);
    EXPECT_EQ(test(pairs).count, 3U);
    EXPECT_EQ(test(pairs).diverged, 2U);
    const PairedTest none = test(Pairs{{not_a_number, 1}});
    EXPECT_FALSE(none.mean_difference || none.statistic || none.p_value);
    EXPECT_EQ(none.diverged, 1U);
  }
}

TEST(PairedTests, WhatTooFewDifferencesCannotTellIsEmpty) {
  const PairedTest one = paired_t_test(Pairs{{1, 2}});
  EXPECT_EQ(one.mean_difference, -1);
  EXPECT_FALSE(one.statistic || one.p_value);
  EXPECT_FALSE(wilcoxon_signed_rank(Pairs{{1, 2}}).p_value);
}

// 0.90 - 0.85 and 0.85 - 0.80 differ in their last bits, and more so in single precision.
TEST(PairedTests, EqualDifferencesTellNothing) {
  for (const Pairs& pairs :
       {Pairs(20, {1, 1}), Pairs{{1, 2}, {2, 3}}, Pairs{{0.90, 0.85}, {0.85, 0.80}, {0.15, 0.10}},
        Pairs{{0.90F, 0.85F}, {0.85F, 0.80F}, {0.65F, 0.60F}},
        Pairs{{0.1 + 0.2, 0.3}, {0.7, 0.7}, {0.8, 0.8}}}) {
    for (const auto test : {paired_t_test, wilcoxon_signed_rank}) {
      EXPECT_FALSE(test(pairs).statistic) << test(pairs).p_value.value_or(-1);
      EXPECT_FALSE(test(pairs).p_value);
      EXPECT_TRUE(test(pairs).mean_difference);
    }
  }
  EXPECT_EQ(paired_t_test(Pairs{{0.1 + 0.2, 0.3}, {0.7, 0.7}}).mean_difference, 0);
}

TEST(PairedTests, DoNotDependOnTheScaleOfTheScores) {
  const Pairs pairs = {{1, 2}, {2, 5}, {3, 2.5}, {4, 8}};
  Pairs small;
  for (const ScorePair& pair : pairs) small.push_back({pair.first * 1e-200, pair.second * 1e-200});
  EXPECT_NEAR(paired_t_test(small).p_value.value(), paired_t_test(pairs).p_value.value(), 1e-12);
  EXPECT_EQ(wilcoxon_signed_rank(small).p_value, wilcoxon_signed_rank(pairs).p_value);
}

TEST(PairedTests, DifferencesThatAreEqualUpToRoundingTie) {
  const Pairs pairs = {{0.90, 0.85}, {0.85, 0.80}, {0.15, 0.05}, {0.5, 0.7}};
  const Pairs whole = {{18, 17}, {17, 16}, {3, 1}, {10, 14}};
  EXPECT_EQ(wilcoxon_signed_rank(pairs).statistic, wilcoxon_signed_rank(whole).statistic);
  EXPECT_EQ(wilcoxon_signed_rank(pairs).p_value, wilcoxon_signed_rank(whole).p_value);
}

TEST(PairedTests, RefuseNothingAndWhatIsNoProbability) {
  EXPECT_THROW(paired_t_test({}), Error);
  EXPECT_THROW(wilcoxon_signed_rank({}), Error);
  EXPECT_THROW(holm_correction({}), Error);
  EXPECT_THROW(holm_correction(std::vector<double>{0.5, 1.5}), Error);
  EXPECT_THROW(holm_correction(std::vector<double>{not_a_number}), Error);
}

TEST(PairScores, MatchesSeeds) {
  const std::vector<SeedScore> first = {{"1", 0.5}, {"2", 0.6}, {"4", 0.7}};
  const std::vector<SeedScore> second = {{"10", 0.1}, {"2", 0.3}, {"3", 0.9}, {"4", 0.8}};
  const PairedScores paired = pair_scores(first, second);
  ASSERT_EQ(paired.pairs.size(), 2U);
  EXPECT_EQ(paired.pairs[0].first, 0.6);
  EXPECT_EQ(paired.pairs[0].second, 0.3);
  EXPECT_EQ(paired.pairs[1].first, 0.7);
  EXPECT_EQ(paired.pairs[1].second, 0.8);
  EXPECT_EQ(paired.unpaired, 3U);
  EXPECT_TRUE(pair_scores(first, {}).pairs.empty());
  EXPECT_THROW(pair_scores(std::vector<SeedScore>{{"1", 1}, {"1", 1}}, second), Error);
  EXPECT_THROW(pair_scores(second, std::vector<SeedScore>{{"2", 1}, {"10", 1}}), Error);
}

TEST(PairedTests, RoundingOfMeansOverSinglePrecisionScoresIsNoFinding) {
  std::vector<ScorePair> pairs;
  for (const float first : {0.712f, 0.7231f, 0.7307f}) {
    const float second = first - 0.1f;  // and a mean over three tasks, in double precision
    pairs.push_back({(first + 0.61f + 0.82f) / 3.0, (second + 0.51f + 0.72f) / 3.0});
  }
  EXPECT_FALSE(paired_t_test(pairs).p_value.has_value());
}

}  // namespace
}  // namespace rankfold
