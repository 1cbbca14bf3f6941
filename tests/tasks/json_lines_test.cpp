#include "experiments/tasks/json_lines.h"

#include "folder.h"

namespace rankfold {
namespace {

TEST(JsonLines, AreObjectsWithTheLineWhereTheyStand) {
  const Folder folder;
  const auto rows =
      read_json_lines(folder.write("a.jsonl",
                                   "{\"premise\": \"It \\\"rained\\\".\\n\", \"label\": 1}\n"
                                   "{\"premise\": \"caf\xC3\xA9\", \"answers\": [\"a\", \"b\"]}"));
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(rows[0].line, 1);
  EXPECT_EQ(take_sentence(rows[0].fields(), "premise"), "It \"rained\".\n");
  EXPECT_EQ(rows[0].fields().member("label").count(), 1);
  EXPECT_EQ(rows[1].line, 2);
  EXPECT_EQ(rows[1].fields().member("answers").strings().size(), 2);
}

TEST(JsonLines, DropByteOrderMarkAndCarriageReturns) {
  const Folder folder;
  const auto rows =
      read_json_lines(folder.write("a.jsonl", "\xEF\xBB\xBF{\"a\": \"x\"}\r\n{\"a\": \"y\"}\r\n"));
  ASSERT_EQ(rows.size(), 2);
  EXPECT_EQ(take_cell(rows[0].fields(), "a"), "x");
  EXPECT_EQ(take_cell(rows[1].fields(), "a"), "y");
}

TEST(JsonLines, NameFileAndLineOfWhatIsNoObject) {
  struct Case {
    std::string line;
    const char* message;
  };
  const Case cases[] = {
      {"", ":2: found an empty line, expected a JSON object"},
      {"[1, 2]", ":2: found '[1, 2]', expected a JSON object"},
      {"\"text\"", ":2: found '\"text\"', expected a JSON object"},
      {"{\"a\": 1", ":2: is not valid JSON (at byte 7 of 7)"},
      {"{\"a\": 1} {\"a\": 2}", ":2: is not valid JSON (at byte 10 of 17)"},
      {"{\"a\": \"\\ud800\"}", ":2: is not valid JSON (at byte 14 of 15)"},
      {"{\"a\": \"caf\xE9\"}", ":2: found byte 0xE9 at position 11, expected valid UTF-8"},
      {std::string("{\"a\": \"\0\"}", 10),
       ":2: found byte 0x00 at position 8, expected text "
       "without it"},
      {"{\"a\": \"\\\\\\u0000\"}", ":2: found \\u0000, expected text without it"},
  };
  for (const Case& broken : cases) {
    const Folder folder;
    const auto file =
        folder.write("a.jsonl", "{\"a\": \"x\"}\n" + broken.line + "\n{\"a\": \"y\"}\n");
    EXPECT_EQ(message_of([&] { read_json_lines(file); }), file.string() + broken.message)
        << broken.line;
  }
}

TEST(JsonLines, AnEscapedBackslashBeforeU0000IsText) {
  const Folder folder;
  const auto rows = read_json_lines(folder.write("a.jsonl", "{\"a\": \"\\\\u0000\"}\n"));
  EXPECT_EQ(take_cell(rows[0].fields(), "a"), "\\u0000");
}

TEST(JsonLines, RefuseMissingAndEmptyFiles) {
  const Folder folder;
  EXPECT_THAT(message_of([&] { read_json_lines(folder.path() / "none.jsonl"); }),
              HasSubstr("none.jsonl"));
  for (const char* bytes : {"", "\xEF\xBB\xBF"}) {
    const auto file = folder.write("empty.jsonl", bytes);
    EXPECT_EQ(message_of([&] { read_json_lines(file); }),
              file.string() + ": found an empty file, expected rows");
  }
}

TEST(JsonLines, NameTheKeyThatIsMissingBlankOrOfAnotherType) {
  const Folder folder;
  const auto file = folder.write(
      "a.jsonl", "{\"text\": 5, \"blank\": \" \\n\", \"null\": null, \"list\": [], \"map\": {}}\n");
  const JsonRow row = read_json_lines(file).front();
  const auto sentence = [&](const char* key) {
    return message_of([&] { take_sentence(row.fields(), key); });
  };
  const std::string place = file.string() + ":1: key ";
  EXPECT_EQ(sentence("text"), place + "'text': found a number, expected a sentence");
  EXPECT_EQ(sentence("blank"), place + "'blank': found no text, expected a sentence");
  EXPECT_EQ(sentence("none"), place + "'none': found missing, expected a sentence");
  for (const char* key : {"null", "list", "map", "none"}) {
    EXPECT_THAT(message_of([&] { take_cell(row.fields(), key); }),
                AllOf(StartsWith(place + "'" + key + "': found "),
                      EndsWith("expected a text, a number, true or false")));
  }
}

TEST(JsonLines, CellsAreStringsAsTheyAreOthersAsJsonWritesThemAndWholeNumbersHaveNoPoint) {
  const Folder folder;
  const auto rows = read_json_lines(
      folder.write("a.jsonl",
                   "{\"a\": \" x \", \"b\": 1, \"c\": 2.50, \"d\": true, \"e\": -1e-7, "
                   "\"f\": 3.0, \"g\": -0.0, \"h\": 1e20, \"i\": 9007199254740993}\n"));
  const JsonField row = rows[0].fields();
  EXPECT_EQ(take_cell(row, "a"), " x ");
  EXPECT_EQ(take_cell(row, "b"), "1");
  EXPECT_EQ(take_cell(row, "c"), "2.5");
  EXPECT_EQ(take_cell(row, "d"), "true");
  EXPECT_EQ(take_cell(row, "e"), "-1e-07");
  EXPECT_EQ(take_cell(row, "f"), "3");
  EXPECT_EQ(take_cell(row, "g"), "0");
  EXPECT_EQ(take_cell(row, "h"), "1e+20");
  EXPECT_EQ(take_cell(row, "i"), "9007199254740993");
}

}  // namespace
}  // namespace rankfold
