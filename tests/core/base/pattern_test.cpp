#include "core/base/pattern.h"

#include <gmock/gmock.h>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

const std::vector<std::string> texts = {"",
                                        "a",
                                        "aa",
                                        "ab",
                                        "c",
                                        "b",
                                        "xx",
                                        "xxx",
                                        "y",
                                        "xxy",
                                        "{a}",
                                        "]a",
                                        "layer.1.query",
                                        "model.layer.11.query",
                                        "model.layer.2.q.query",
                                        "model.3.q",
                                        "\331\243",
                                        "7",
                                        "d]",
                                        ":]",
                                        "\303\251",
                                        "\303\251\303\251",
                                        "a\012",
                                        "\012",
                                        "\010",
                                        "\013",
                                        "a-z",
                                        "query",
                                        "QUERY",
                                        "q",
                                        "[a",
                                        "&b",
                                        "d:"};

/// Of each text 1 where Python 3.11's re.search finds the expression, 2 more for re.match, 4 for
/// re.fullmatch.
struct PythonCase {
  const char* expression;
  const char* found;
};
constexpr PythonCase cases[] = {
    {".*\\.layer\\.\\d+\\..*", "000000000000077000000000000000000"},
    {".*\\.layer\\.1\\d?\\..*", "000000000000070000000000000000000"},
    {".*\\.(?:1|3)\\..*", "000000000000700700000000000000000"},
    {"(?!.*\\.1\\.).*query", "000000000000177000000000000700000"},
    {"[[:digit:]]", "000000000000000000770000000000000"},
    {"[0-9]+", "000000000000111107000000000000000"},
    {"\\w+", "077777777711333377307730003777113"},
    {"^a$", "070000000000000000000030000000000"},
    {"a\\Z", "071000000001000000000000000000100"},
    {"x{,2}", "733333733333333333333333333333333"},
    {"x{2,}", "000000770300000000000000000000000"},
    {"{a}", "000000000070000000000000000000000"},
    {"x{,}y", "000000007700111000000000000100000"},
    {"[]a]+", "077300000017111000110030003000100"},
    {"[^]]+", "077777777771777777337777777777777"},
    {"[\\d.]+", "000000000000111177000000000000000"},
    {"\\bq\\b", "000000000000001100000000000007000"},
    {"(?P<n>a)(?P=n)", "007000000000000000000000000000000"},
    {"(a)\\1", "007000000000000000000000000000000"},
    {"\\x61", "073300000011111000000030003000100"},
    {"\\u0061", "073300000011111000000030003000100"},
    {"\\101", "000000000000000000000000000000000"},
    {"[\\b]", "000000000000000000000000700000000"},
    {"(?i)QUERY", "000000000000111000000000000770000"},
    {"(?i:Q)uery", "000000000000111000000000000700000"},
    {".", "073377337333333377337330773337333"},
    {"\\v", "000000000000000000000000070000000"},
    {"\\.query$", "000000000000111000000000000000000"},
    {"(?#x)a", "073300000011111000000030003000100"},
    {"a|b", "073307000011111000000030003000110"},
    {"", "733333333333333333333333333333333"},
    {"\303\251+", "000000000000000000007700000000000"},
    {"\\-", "000000000000000000000000001000000"},
    {"[a\\-z]+", "077300000011111000000030007000100"},
    {"[\\[a]", "073300000011111000000030003000300"},
    {"(?<=l)ayer", "000000000000111000000000000000000"},
    {"a++", "077300000011111000000030003000100"},
    {"(?s).+", "077777777777777777777777777777777"},
    {"[a-c&&b]+", "077777000011111000000030003000170"},
    {"\\S+", "077777777777777777777730707777777"},
    {"(a)?(?(1)b|c)", "000770000000000000000000000000000"},
};

TEST(Pattern, FindsWhatPythonFinds) {
  for (const PythonCase& one : cases) {
    const Pattern pattern(one.expression);
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const int found = (pattern.found_in(texts[i]) ? 1 : 0) + (pattern.begins(texts[i]) ? 2 : 0) +
                        (pattern.matches(texts[i]) ? 4 : 0);
      EXPECT_EQ(found, one.found[i] - '0') << one.expression << " in '" << texts[i] << "'";
    }
  }
}

TEST(Pattern, RefusesWhatPythonRefuses) {
  for (const char* expression :
       {"\\z",  "\\Rx",    "\\h",   "\\K",    "\\p{L}", "\\Qa\\E", "(*ACCEPT)", "(?R)",
        "(?1)", "(?<n>a)", "(?|a)", "a(?i)b", "[a",     "(a",      "a)",        "*a",
        "a\\",  "\\N",     "[\\A]", "(?U)a",  "\\1",    "\\x6"})
    EXPECT_THROW(Pattern{expression}, Error) << expression;
}

TEST(Pattern, NamesTheExpressionAndTheReason) {
  EXPECT_EQ(message_of<Error>([] { Pattern("a\\h", "key of rank_pattern"); }),
            "key of rank_pattern 'a\\h' is no regular expression of Python: bad escape \\h");
  EXPECT_THAT(message_of<Error>([] { Pattern(std::string(30'000, 'a')); }),
              testing::HasSubstr("more than the 20000 that are read"));
}

TEST(Pattern, StopsABacktrackingThatWouldNotEnd) {
  const Pattern pattern("(a|aa)+$");
  EXPECT_THAT(message_of<Error>([&] { pattern.found_in(std::string(64, 'a') + "!"); }),
              testing::HasSubstr("cannot be looked for"));
  EXPECT_THAT(message_of<Error>([&] { pattern.found_in("\xff"); }), testing::HasSubstr("UTF-8"));
}

TEST(Pattern, TellsWhatAGroupTook) {
  const Pattern layer(R"((?:^|.*?\.)(?:h|layer)\.(?P<idx>\d+)(?P<rest>x)?\.)");
  EXPECT_EQ(layer.group_of_beginning("bert.layer.11.h.2.query", "idx"), "11");
  EXPECT_EQ(layer.group_of_beginning("bert.layer.11.h.2.query", "rest"), std::nullopt);
  EXPECT_EQ(layer.group_of_beginning("bert.pooler.dense", "idx"), std::nullopt);
  EXPECT_THAT(message_of<Error>([&] { layer.group_of_beginning("h.1.", "index"); }),
              testing::HasSubstr("has no group 'index'"));
}

TEST(Pattern, EscapedTextMatchesItselfAlone) {
  const std::string text = "a.b[0]*(x)+{2}^$|\\ #~&-";
  EXPECT_TRUE(Pattern(escape_pattern(text)).matches(text));
  EXPECT_FALSE(Pattern(escape_pattern("a.b")).matches("axb"));
}

}  // namespace
}  // namespace rankfold
