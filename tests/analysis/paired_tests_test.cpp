#include "analysis/paired_tests.h"

#include <limits>

#include <gtest/gtest.h>

#include "core/error.h"
#include "statistics_golden.h"

namespace rankfold {
namespace {

using Pairs = std::vector<ScorePair>;
const double not_a_number = std::numeric_limits<double>::quiet_NaN();

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
  EXPECT_FALSE(paired_t_test(Pairs{{1, 2}, {2, 3}}).p_value);
  EXPECT_EQ(wilcoxon_signed_rank(Pairs(20, {1, 1})).p_value, 1);
}

TEST(PairedTests, RefuseNothingAndWhatIsNoProbability) {
  EXPECT_THROW(paired_t_test({}), Error);
  EXPECT_THROW(wilcoxon_signed_rank({}), Error);
  EXPECT_THROW(holm_correction({}), Error);
  EXPECT_THROW(holm_correction(std::vector<double>{0.5, 1.5}), Error);
  EXPECT_THROW(holm_correction(std::vector<double>{not_a_number}), Error);
}

TEST(PairScores, MatchesTaskAndSeed) {
  const std::vector<KeyedScore> first = {{"rte", "1", 0.7}, {"cola", "1", 0.5}, {"cola", "2", 0.6}};
  const std::vector<KeyedScore> second = {{"cola", "2", 0.3}, {"rte", "1", 0.8}, {"rte", "2", 0.9}};
  const PairedScores paired = pair_scores(first, second);
  ASSERT_EQ(paired.pairs.size(), 2U);
  EXPECT_EQ(paired.pairs[0].first, 0.6);
  EXPECT_EQ(paired.pairs[0].second, 0.3);
  EXPECT_EQ(paired.pairs[1].first, 0.7);
  EXPECT_EQ(paired.pairs[1].second, 0.8);
  EXPECT_EQ(paired.unpaired, 2U);
  EXPECT_THROW(pair_scores(std::vector<KeyedScore>{{"a", "1", 1}, {"a", "1", 2}}, second), Error);
}

}  // namespace
}  // namespace rankfold
