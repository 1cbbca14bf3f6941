#include "experiments/tasks/table_file.h"

#include "folder.h"

namespace rankfold {
namespace {

const TableLayout x_and_y = {{{"x", "y"}}};

Table read(const Folder& folder, const char* name, const std::string& bytes,
           const TableLayout& layout = x_and_y) {
  return read_table(folder.write(name, bytes), layout);
}

TEST(TableFile, TabsAloneSeparateAndQuotesAndSpacesAreText) {
  const Folder folder;
  const Table table = read(folder, "a.tsv", "x\tother\ty\na\t\"b c\t d' \n\t\"\"\te,f\n");
  ASSERT_EQ(table.rows.size(), 2);
  EXPECT_THAT(table.rows[0].cells, ElementsAre("a", " d' "));
  EXPECT_THAT(table.rows[1].cells, ElementsAre("", "e,f"));
  EXPECT_EQ(table.rows[1].line, 3);
}

TEST(TableFile, DropsByteOrderMarkAndCarriageReturns) {
  const Folder folder;
  for (const auto& [name, bytes] :
       {std::pair("a.tsv", "\xEF\xBB\xBFx\ty\r\n1\t2\r\n3\t4"),
        {"a.csv", "\xEF\xBB\xBFx,y\r\n1,2\r\n3,4"},
        {"a.jsonl", "\xEF\xBB\xBF{\"x\": 1, \"y\": 2}\r\n{\"x\": 3, \"y\": 4}"}}) {
    const Table table = read(folder, name, bytes);
    ASSERT_EQ(table.rows.size(), 2) << name;
    EXPECT_THAT(table.rows[0].cells, ElementsAre("1", "2"));
    EXPECT_THAT(table.rows[1].cells, ElementsAre("3", "4"));
  }
}

TEST(TableFile, CommaSeparatedFieldsMayBeQuoted) {
  const Folder folder;
  const Table table =
      read(folder, "a.csv", "y,x\n\"one, \"\"two\"\"\",\"line\r\nline\"\nlast,\"\"\n");
  ASSERT_EQ(table.rows.size(), 2);
  EXPECT_THAT(table.rows[0].cells, ElementsAre("line\r\nline", "one, \"two\""));
  EXPECT_EQ(table.rows[1].line, 4);
  EXPECT_THAT(table.rows[1].cells, ElementsAre("", "last"));
}

TEST(TableFile, TakesTheFirstChoiceOfColumnsThatIsWhole) {
  const Folder folder;
  const TableLayout layout = {{{"a", "b"}, {"x", "y"}, {"y", "z"}}};
  EXPECT_THAT(read(folder, "a.tsv", "z\ty\tx\n1\t2\t3\n", layout).columns, ElementsAre("x", "y"));
  EXPECT_THAT(read(folder, "a.jsonl", "{\"z\": 1, \"y\": 2}\n", layout).rows[0].cells,
              ElementsAre("2", "1"));
}

TEST(TableFile, NamesTheMissingColumnAndTheOneThatIsMeant) {
  const Folder folder;
  const auto file = folder.write("a.csv", "texts,label\nfine,1\n");
  EXPECT_EQ(message_of([&] {
              read_table(file, {{{"text", "label"}}});
            }),
            file.string() +
                ":1: found columns 'texts, label', expected a header with column 'text'; is "
                "'texts' meant for it?");
}

TEST(TableFile, RefusesAChosenColumnThatIsThereTwice) {
  const Folder folder;
  EXPECT_THAT(message_of([&] { read(folder, "a.tsv", "x\ty\tx\n1\t2\t3\n"); }),
              EndsWith("a.tsv:1: the header names column 'x' twice, expected it once"));
  EXPECT_EQ(read(folder, "a.tsv", "x\ty\tz\tz\n1\t2\t3\t4\n").rows.size(), 1);
}

TEST(TableFile, NamesFileAndLineOfARowWithAnotherNumberOfColumns) {
  const Folder folder;
  const auto file = folder.write("a.tsv", "x\ty\n1\t2\nalone\n");
  EXPECT_THAT(message_of([&] { read_table(file, x_and_y); }),
              AllOf(StartsWith(file.string() + ":3:"), HasSubstr("found 1"), HasSubstr("'alone'"),
                    HasSubstr("expected 2")));
  folder.write("a.tsv", "1\t2\t3\n");
  EXPECT_THAT(message_of([&] {
                read_table(file, {{{"x", "y"}}, {"x", "y"}});
              }),
              AllOf(StartsWith(file.string() + ":1:"), HasSubstr("found 3"),
                    HasSubstr("expected 2"), Not(HasSubstr("\t"))));
  EXPECT_THAT(message_of([&] { read(folder, "a.csv", "x,y\n1,2\n1,2,3\n"); }),
              HasSubstr("a.csv:3: found 3 fields, expected 2"));
}

TEST(TableFile, RefusesMissingAndEmptyFiles) {
  const Folder folder;
  for (const char* name : {"a.tsv", "a.csv", "a.jsonl"}) {
    EXPECT_THAT(message_of([&] { read_table(folder.path() / name, x_and_y); }), HasSubstr(name));
    for (const char* bytes : {"", "\xEF\xBB\xBF"}) {
      EXPECT_THAT(message_of([&] { read(folder, name, bytes); }),
                  EndsWith("found an empty file, expected rows"));
    }
  }
  EXPECT_THAT(message_of([&] { read(folder, "a.csv", "x,y\n"); }),
              EndsWith("found a header and no rows, expected rows"));
}

TEST(TableFile, RefusesInvalidUtf8AndZeroBytesWithLineAndPosition) {
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
    for (const char* name : {"a.tsv", "a.csv", "a.jsonl"}) {
      EXPECT_THAT(
          message_of([&] { read(folder, name, "x\ty\n" + std::string(bytes) + "\nfine\n"); }),
          AllOf(HasSubstr(std::string(name) + ":2: found byte 0x"), EndsWith("valid UTF-8")));
    }
  }
  EXPECT_THAT(message_of([&] { read(folder, "a.csv", std::string("x,y\na,\"\0\"\n", 10)); }),
              EndsWith("a.csv:2: found byte 0x00 at position 4, expected text without it"));
}

TEST(TableFile, AcceptsEveryLengthOfUtf8) {
  const Folder folder;
  const std::string line =
      "a\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEF\xBF\xBF\xF0\x90\x80\x80"
      "\xF4\x8F\xBF\xBF";
  EXPECT_EQ(read(folder, "a.tsv", "x\ty\n" + line + "\t1").rows[0].cells[0], line);
}

Table table_of(const std::string& cell) {
  return {"a.tsv", {"text", "score"}, {{7, {"text", cell}}}, 0};
}

TEST(TableFile, RefusesNumbersThatAreNoneOrOutOfRange) {
  for (const char* cell : {"", "x", "1,5", "2.5 ", " 2.5", "nan", "inf", "5.001", "-0.1", "1e9"}) {
    const Table table = table_of(cell);
    EXPECT_EQ(message_of([&] {
                take_number(table, table.rows[0], 1, {0, 5});
              }),
              "a.tsv:7: found '" + std::string(cell) +
                  "' in column 'score', expected a number from 0 to 5");
  }
  const Table table = table_of("5.000");
  EXPECT_EQ(take_number(table, table.rows[0], 1, {0, 5}), 5.0);
  const Table text = table_of("1e999");
  EXPECT_EQ(message_of([&] { take_number(text, text.rows[0], 1, unbounded); }),
            "a.tsv:7: found '1e999' in column 'score', expected a number");
}

TEST(TableFile, ClassesAreNamesAndWhereTheyMayBeNumbers) {
  const std::vector<std::string> classes = {"no", "yes"};
  const Table named = table_of("yes"), numbered = table_of("1");
  EXPECT_EQ(take_class(named, named.rows[0], 1, classes, false), 1);
  EXPECT_EQ(take_class(numbered, numbered.rows[0], 1, classes, true), 1);
  EXPECT_EQ(message_of([&] { take_class(numbered, numbered.rows[0], 1, classes, false); }),
            "a.tsv:7: found label '1' in column 'score', expected one of no, yes");
  const Table other = table_of("2");
  EXPECT_EQ(message_of([&] { take_class(other, other.rows[0], 1, classes, true); }),
            "a.tsv:7: found label '2' in column 'score', expected 0 or 1 (no, yes)");
}

TEST(TableFile, ShortensLongCellsInMessages) {
  const Table table = table_of(std::string(5000, 'x'));
  EXPECT_LT(message_of([&] { take_class(table, table.rows[0], 1, {"a"}, true); }).size(), 200);
}

}  // namespace
}  // namespace rankfold
