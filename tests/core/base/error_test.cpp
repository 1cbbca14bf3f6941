#include "core/base/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rankfold {
namespace {

const std::vector<std::string> methods = {"lora", "lotr", "lorta", "loretta_rep", "tenslora"};

TEST(Error, CarriesItsTextAndExitStatus) {
  const Error error("{}: rank {} is too large", "lora", 8);
  EXPECT_STREQ(error.what(), "lora: rank 8 is too large");
  EXPECT_EQ(error.exit_status(), 1);
  EXPECT_EQ(UsageError("bad").exit_status(), 2);
}

TEST(Error, AUsageErrorCaughtAsErrorKeepsItsExitStatus) {
  try {
    throw UsageError("bad");
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 2);
  }
}

TEST(NearestName, FindsASlip) {
  EXPECT_EQ(nearest_name("lorra", methods), "lora");
  EXPECT_EQ(nearest_name("tenslra", methods), "tenslora");
  EXPECT_EQ(nearest_name("loretta_rpe", methods), "loretta_rep");
}

TEST(NearestName, CountsASwapOfNeighboursAsOneSlip) {
  EXPECT_EQ(nearest_name("ltor", methods), "lotr");
}

TEST(NearestName, TakesTheFirstOfTheNearest) {
  const std::vector<std::string> names = {"abcx", "abcy"};
  EXPECT_EQ(nearest_name("abcz", names), "abcx");
}

TEST(NearestName, IsEmptyWhereNothingIsNear) {
  EXPECT_EQ(nearest_name("quantum", methods), "");
  EXPECT_EQ(nearest_name("", methods), "");
  EXPECT_EQ(nearest_name("lora", {}), "");
}

TEST(NearestName, DoesNotTakeOneLetterForAnother) {
  const std::vector<std::string> names = {"q", "v"};
  EXPECT_EQ(nearest_name("k", names), "");
}

TEST(UnknownName, NamesTheGivenTheNearestAndTheKnown) {
  const UsageError error = unknown_name("method", "lorra", methods);
  EXPECT_STREQ(error.what(),
               "unknown method 'lorra'; did you mean 'lora'? "
               "(known: lora, lotr, lorta, loretta_rep, tenslora)");
  EXPECT_EQ(error.exit_status(), 2);
}

TEST(UnknownName, StaysOneLineWhateverIsGiven) {
  const std::string text = unknown_name("method", "two\nlines", {}).what();
  EXPECT_EQ(text, "unknown method 'two\\nlines'");
}

}  // namespace
}  // namespace rankfold
