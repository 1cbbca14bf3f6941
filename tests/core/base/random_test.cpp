#include "core/base/random.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rankfold {
namespace {

using testing::ElementsAre;

// The known answers that the Random123 library publishes for philox4x32 with 10 rounds.
TEST(Philox, GivesThePublishedWords) {
  EXPECT_THAT(philox4x32_10({0, 0, 0, 0}, {0, 0}),
              ElementsAre(0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  EXPECT_THAT(philox4x32_10({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U}),
              ElementsAre(0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  EXPECT_THAT(
      philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
      ElementsAre(0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1));
}

// Pinned: computed a second time in Python from the description in core/base/random.h.
TEST(RandomStream, IsTheSameInEveryVersion) {
  const RandomStream stream(42, "initialise/lora/A.0", 3);
  EXPECT_THAT(stream.block(7), ElementsAre(0x2f1a3a78, 0xe77fa3a7, 0x8f861962, 0x1b8cb638));
}

TEST(RandomStream, BitsAreTheWordsOfTheBlocks) {
  const RandomStream stream(1, "shuffle");
  for (std::uint64_t position = 0; position < 12; ++position)
    EXPECT_EQ(stream.bits(position), stream.block(position / 4)[position % 4]);
}

TEST(RandomStream, EverySeedPurposeAndIndexHasItsOwnStream) {
  std::set<std::array<std::uint32_t, 4>> blocks;
  std::size_t streams = 0;
  for (const std::uint64_t seed : {0UL, 1UL, 42UL, 1UL << 32, ~0UL})
    for (const char* purpose : {"", "a", "b", "ab", "ba", "shuffle", "dropout"})
      for (const std::uint64_t index : {0UL, 1UL, 2UL, 1UL << 32, ~0UL}) {
        blocks.insert(RandomStream(seed, purpose, index).block(0));
        ++streams;
      }
  EXPECT_EQ(blocks.size(), streams);
}

TEST(RandomStream, UniformHasTheMomentsAndTheRange) {
  const RandomStream stream(7, "uniform");
  const std::size_t count = 200000;
  double sum = 0, squares = 0, products = 0, before = 0;
  std::vector<std::size_t> tenths(10);
  for (std::size_t i = 0; i < count; ++i) {
    const double value = stream.uniform(i);
    ASSERT_GE(value, 0.0);
    ASSERT_LT(value, 1.0);
    sum += value;
    squares += value * value;
    products += (value - 0.5) * (before - 0.5);
    before = value;
    ++tenths[static_cast<std::size_t>(value * 10)];
  }
  const double n = static_cast<double>(count);
  EXPECT_NEAR(sum / n, 0.5, 0.003);
  EXPECT_NEAR(squares / n, 1.0 / 3, 0.003);
  EXPECT_NEAR(products / n, 0, 0.001);
  for (const std::size_t tenth : tenths) EXPECT_NEAR(static_cast<double>(tenth) / n, 0.1, 0.003);
}

TEST(RandomStream, NormalHasTheMomentsAndTheTails) {
  const RandomStream stream(7, "normal");
  const std::size_t count = 200000;
  double sum = 0, squares = 0, cubes = 0, fourths = 0;
  std::size_t beyond_two = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double value = stream.normal(i);
    sum += value;
    squares += value * value;
    cubes += value * value * value;
    fourths += value * value * value * value;
    if (std::abs(value) > 2) ++beyond_two;
  }
  const double n = static_cast<double>(count);
  EXPECT_NEAR(sum / n, 0, 0.01);
  EXPECT_NEAR(squares / n, 1, 0.015);
  EXPECT_NEAR(cubes / n, 0, 0.04);
  EXPECT_NEAR(fourths / n, 3, 0.1);
  EXPECT_NEAR(static_cast<double>(beyond_two) / n, 0.0455, 0.002);
}

TEST(RandomStream, FillsBothPrecisionsWithTheSameNumbers) {
  const RandomStream stream(3, "initialise");
  std::vector<float> singles(1001);
  std::vector<double> doubles(1001);
  stream.fill_normal(std::span(singles), 1, 0.02);
  stream.fill_normal(std::span(doubles), 1, 0.02);
  for (std::size_t i = 0; i < doubles.size(); ++i) {
    EXPECT_EQ(doubles[i], 1 + 0.02 * stream.normal(i));
    EXPECT_EQ(singles[i], static_cast<float>(doubles[i]));
  }
  stream.fill_uniform(std::span(singles), -2, 3);
  stream.fill_uniform(std::span(doubles), -2, 3);
  for (std::size_t i = 0; i < doubles.size(); ++i) {
    EXPECT_EQ(doubles[i], -2 + 5 * stream.uniform(i));
    EXPECT_EQ(singles[i], static_cast<float>(doubles[i]));
  }
}

TEST(RandomStream, APermutationHoldsEveryNumberOnce) {
  for (const std::size_t n : {0, 1, 2, 17, 1000}) {
    std::vector<std::size_t> order = RandomStream(5, "shuffle").permutation(n);
    std::sort(order.begin(), order.end());
    std::vector<std::size_t> expected(n);
    std::iota(expected.begin(), expected.end(), std::size_t{0});
    EXPECT_EQ(order, expected);
  }
}

TEST(RandomStream, AllPermutationsAreEquallyLikely) {
  std::map<std::vector<std::size_t>, double> counts;
  const std::size_t epochs = 24000;
  for (std::size_t epoch = 0; epoch < epochs; ++epoch)
    ++counts[RandomStream(5, "shuffle", epoch).permutation(4)];
  ASSERT_EQ(counts.size(), 24);
  // 1000 expected each: the statistic exceeds 49.7 once in a thousand.
  double statistic = 0;
  for (const auto& [order, count] : counts) statistic += (count - 1000) * (count - 1000) / 1000;
  EXPECT_LT(statistic, 49.7);
}

}  // namespace
}  // namespace rankfold
