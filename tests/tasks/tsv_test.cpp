#include "experiments/tasks/tsv.h"

#include <gmock/gmock.h>

#include "folder.h"

namespace rankfold {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(Tsv, SplitsAtTabsOnlyAndKeepsQuotesAndSpaces) {
  const Folder folder;
  const auto rows = read_tsv(folder.write("a.tsv", "a\t\"b c\t d' \n\t\"\"\te,f\n"));
  ASSERT_EQ(rows.size(), 2);
  EXPECT_THAT(rows[0].columns, ElementsAre("a", "\"b c", " d' "));
  EXPECT_THAT(rows[1].columns, ElementsAre("", "\"\"", "e,f"));
  EXPECT_EQ(rows[1].line, 2);
}

TEST(Tsv, DropsByteOrderMarkAndCarriageReturns) {
  const Folder folder;
  const auto rows = read_tsv(folder.write("a.tsv", "\xEF\xBB\xBFx\ty\r\n1\t2\r\n3\t4"));
  ASSERT_EQ(rows.size(), 3);
  EXPECT_THAT(rows[0].columns, ElementsAre("x", "y"));
  EXPECT_THAT(rows[1].columns, ElementsAre("1", "2"));
  EXPECT_THAT(rows[2].columns, ElementsAre("3", "4"));
}

TEST(Tsv, NamesFileAndLineOfARowWithTooFewColumns) {
  const Folder folder;
  const auto file = folder.write("a.tsv", "x\ty\n1\t2\nalone\n");
  EXPECT_THAT(message_of([&] { read_tsv(file); }),
              AllOf(StartsWith(file.string() + ":3:"), HasSubstr("found 1"), HasSubstr("'alone'"),
                    HasSubstr("expected 2")));
}

TEST(Tsv, NamesFileAndLineOfARowWithTooManyColumns) {
  const Folder folder;
  const auto file = folder.write("a.tsv", "1\t2\t3\n");
  EXPECT_THAT(message_of([&] { read_tsv(file, 2); }),
              AllOf(StartsWith(file.string() + ":1:"), HasSubstr("found 3"),
                    HasSubstr("expected 2"), Not(HasSubstr("\t"))));
}

TEST(Tsv, RefusesMissingAndEmptyFiles) {
  const Folder folder;
  EXPECT_THAT(message_of([&] { read_tsv(folder.path() / "none.tsv"); }), HasSubstr("none.tsv"));
  for (const char* bytes : {"", "\xEF\xBB\xBF"}) {
    const auto file = folder.write("empty.tsv", bytes);
    EXPECT_THAT(message_of([&] { read_tsv(file); }),
                AllOf(StartsWith(file.string()), HasSubstr("empty")));
  }
}

TEST(Tsv, RefusesInvalidUtf8WithLineAndByte) {
  const Folder folder;
  for (const char* bytes : {
           "\x80",              // continuation without a lead
           "\xC0\xAF",          // overlong
           "\xE0\x80\x80",      // overlong
           "\xED\xA0\x80",      // surrogate
           "\xF0\x80\x80\x80",  // overlong
           "\xF4\x90\x80\x80",  // above U+10FFFF
           "\xF5\x80\x80\x80",  // no such lead
           "\xE2\x82",          // cut off
           "caf\xE9 au lait",   // Latin-1
       }) {
    const auto file = folder.write("a.tsv", "fine\n" + std::string(bytes) + "\nfine\n");
    EXPECT_THAT(message_of([&] { read_tsv(file); }),
                AllOf(StartsWith(file.string() + ":2: found byte 0x"), EndsWith("valid UTF-8")));
  }
}

TEST(Tsv, AcceptsEveryLengthOfUtf8) {
  const Folder folder;
  const std::string line =
      "a\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF\xF0\x90\x80\x80"
      "\xF4\x8F\xBF\xBF";
  EXPECT_EQ(read_tsv(folder.write("a.tsv", line))[0].columns[0], line);
}

TEST(Tsv, FindsColumnsByNameAndNamesTheMissingOne) {
  const TsvRow header{1, {"sentence", "label"}};
  EXPECT_EQ(find_column("a.tsv", header, "label"), 1);
  EXPECT_THAT(message_of([&] { find_column("a.tsv", header, "score"); }),
              AllOf(StartsWith("a.tsv:1:"), HasSubstr("sentence, label"), HasSubstr("'score'")));
}

TEST(Tsv, RefusesNumbersThatAreNoneOrOutOfRange) {
  for (const char* cell : {"", "x", "1,5", "2.5 ", " 2.5", "nan", "inf", "5.001", "-0.1", "1e9"}) {
    const TsvRow row{7, {"text", cell}};
    EXPECT_THAT(message_of([&] { take_number("a.tsv", row, 1, 0.0, 5.0); }),
                AllOf(StartsWith("a.tsv:7: found score '" + std::string(cell)),
                      EndsWith("expected a number from 0 to 5")));
  }
  EXPECT_EQ(take_number("a.tsv", {1, {"5.000"}}, 0, 0.0, 5.0), 5.0);
  EXPECT_EQ(take_number("a.tsv", {1, {"0"}}, 0, 0.0, 5.0), 0.0);
}

TEST(Tsv, ShortensLongCellsInMessages) {
  const TsvRow row{1, {std::string(5000, 'x')}};
  EXPECT_LT(message_of([&] { take_class("a.tsv", row, 0); }).size(), 200);
}

}  // namespace
}  // namespace rankfold
