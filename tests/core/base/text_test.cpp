#include "core/base/text.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace rankfold {
namespace {

using testing::ElementsAre;

TEST(Text, TrimsBlanksAtBothEndsOnly) {
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
}

TEST(Text, SplitKeepsEmptyParts) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_THAT(split("a,", ','), ElementsAre("a", ""));
}

TEST(Text, JoinUndoesSplit) {
  const std::string text = "q,,v,";
  EXPECT_EQ(join(split(text, ','), ","), text);
  EXPECT_EQ(join({}, ","), "");
}

TEST(Text, ParsesNumbersThatFillTheWholeText) {
  EXPECT_EQ(parse_number<int>("-12"), -12);
  EXPECT_EQ(parse_number<unsigned long>("18446744073709551615"), 18446744073709551615UL);
  EXPECT_EQ(parse_number<double>("5e-4"), 5e-4);
  EXPECT_EQ(parse_number<double>("+.5"), 0.5);
  EXPECT_EQ(parse_number<float>("0.1"), 0.1F);
}

TEST(Text, RefusesWhatIsNotOneNumber) {
  for (const char* text : {"", " 1", "1 ", "1x", "0x10", "1,5", "++1", "+-1", "-", "1.5"})
    EXPECT_EQ(parse_number<int>(text), std::nullopt) << text;
  for (const char* text : {"", "inf", "nan", "-inf", "1e400", "1.5.2", "e5"})
    EXPECT_EQ(parse_number<double>(text), std::nullopt) << text;
}

TEST(Text, RefusesNumbersThatDoNotFit) {
  EXPECT_EQ(parse_number<int>("2147483648"), std::nullopt);
  EXPECT_EQ(parse_number<unsigned>("-1"), std::nullopt);
  EXPECT_EQ(parse_number<unsigned long>("18446744073709551616"), std::nullopt);
}

TEST(Text, PrintableIsOneLine) {
  EXPECT_EQ(printable("a\nb\t\r\x1b[31m\x7f"), "a\\nb\\t\\r\\x1b[31m\\x7f");
  EXPECT_EQ(printable("größe"), "größe");
}

TEST(Text, PrintableIsCutBetweenCharacters) {
  EXPECT_EQ(printable("abcdef", 3), "abc...");
  EXPECT_EQ(printable("abc", 3), "abc");
  EXPECT_EQ(printable("aéb", 2), "aé...");
}

TEST(Utf8, HasTheLengthOfAWellFormedCharacterOrNone) {
  EXPECT_EQ(utf8_length("ab"), 1U);
  EXPECT_EQ(utf8_length("\u00e9x"), 2U);
  EXPECT_EQ(utf8_length("\u20ac"), 3U);
  EXPECT_EQ(utf8_length("\U0001f600"), 4U);
  // Nothing, a continuation, cut off, overlong, a surrogate, beyond U+10FFFF.
  for (const char* text : {"", "\x80", "\xe2\x82", "\xc0\xaf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
                           "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
    EXPECT_EQ(utf8_length(text), 0U) << printable(text);
}

TEST(Utf8, CountsCharacters) {
  EXPECT_EQ(character_count("a\u00e9\u20ac"), 3U);
}

}  // namespace
}  // namespace rankfold
