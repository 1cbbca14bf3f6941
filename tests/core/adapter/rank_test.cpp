#include "core/adapter/rank.h"

#include <gtest/gtest.h>

namespace rankfold {
namespace {

TEST(Rank, IsReadOnce) {
  EXPECT_EQ(Rank::parse("8")->sizes(), std::vector<std::size_t>{8});
  EXPECT_EQ(Rank::parse("8x8x4")->sizes(), (std::vector<std::size_t>{8, 8, 4}));
  EXPECT_TRUE(Rank::parse("")->is_none());
  for (const char* text : {"+2", "x", "8x", "x8", "8x-1", "8.0", "eight", "8 x 8", "8X8"})
    EXPECT_FALSE(Rank::parse(text)) << text;
}

TEST(Rank, HasOneTextForAllThatMeanTheSame) {
  EXPECT_EQ(Rank::parse("08")->text(), "8");
  EXPECT_EQ(Rank::parse("08x4x007")->text(), "8x4x7");
  EXPECT_EQ(Rank().text(), "");
}

TEST(Rank, StandsAtTheGeometricMeanOfItsModes) {
  EXPECT_EQ(Rank::parse("8")->position(), 8);
  EXPECT_EQ(Rank::parse("8x8x8")->position(), 8);
  EXPECT_EQ(Rank::parse("16x4")->position(), 8);
  EXPECT_FALSE(Rank().position());
  EXPECT_FALSE(Rank::parse("8x0")->position());
}

}  // namespace
}  // namespace rankfold
