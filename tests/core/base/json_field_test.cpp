#include "core/base/json_field.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

constexpr const char* text =
    R"({"a": {"b": [1, "two", null, 2.5], "n": null, "t": true}, "big": 18446744073709551615})";

JsonDocument document(JsonWording wording = JsonWording::key_found) {
  return {"some.json", text, {}, wording};
}

TEST(JsonField, NamesFileAndPathOfTheKeyInEveryWording) {
  const auto message = [](JsonWording wording) {
    const JsonDocument read = document(wording);
    return message_of<Error>([&] { read.root().member("a").member("b").element(1).number(); });
  };
  EXPECT_EQ(message(JsonWording::key_found),
            "some.json: key 'a.b[1]': found a string, expected a number");
  EXPECT_EQ(message(JsonWording::found), "some.json: a.b[1]: found \"two\", expected a number");
  EXPECT_EQ(message(JsonWording::is), "some.json: a.b[1] is \"two\", expected a number");
  EXPECT_EQ(message(JsonWording::is_then), "some.json: a.b[1] is \"two\"; expected a number");
}

TEST(JsonField, IsStrictWhereItIsAskedFor) {
  const JsonDocument read = document();
  const JsonField a = read.root().member("a");
  EXPECT_EQ(message_of<Error>([&] { a.member("c"); }), "some.json: key 'a.c' is missing");
  EXPECT_EQ(message_of<Error>([&] { a.integer(0, 1); }),
            "some.json: key 'a': found an object, expected an integer from 0 to 1");
  EXPECT_EQ(message_of<Error>([&] { read.root().member("big").integer(0, 9); }),
            "some.json: key 'big': found 18446744073709551615, expected an integer from 0 to 9");
  EXPECT_EQ(message_of<Error>([&] { a.member("b").member_or_null("c"); }),
            "some.json: key 'a.b.c': found an array, expected an object that holds it");
  EXPECT_TRUE(a.member_or_null("c").is_null());
  EXPECT_TRUE(a.member("t").boolean());
  EXPECT_EQ(a.member("b").element(0).integer(1, 1), 1);
}

TEST(JsonField, SaysWhatIsExpectedInTheCallersWords) {
  const JsonDocument read = document(JsonWording::is_then);
  const JsonField root = read.root(), a = root.member("a"), list = a.member("b");
  const auto message = [](const auto& action) { return message_of<Error>(action); };
  EXPECT_EQ(message([&] { a.member("c", "a text"); }),
            "some.json: a.c is missing; expected a text");
  EXPECT_EQ(message([&] { list.member("c", "a text"); }),
            "some.json: a.b.c is missing; expected a text");
  EXPECT_EQ(message([&] { a.member("n", "a text").string("a text"); }),
            "some.json: a.n is null; expected a text");
  EXPECT_EQ(message([&] { a.member("n").boolean("a flag"); }),
            "some.json: a.n is null; expected a flag");
  EXPECT_EQ(message([&] { a.member("t").number("a size"); }),
            "some.json: a.t is true; expected a size");
  EXPECT_EQ(message([&] { list.element(0).number(2, 3, "2 or 3"); }),
            "some.json: a.b[0] is 1; expected 2 or 3");
  EXPECT_EQ(message([&] { list.element(3).number(1, 2, "1 or 2"); }),
            "some.json: a.b[3] is 2.5; expected 1 or 2");
  EXPECT_EQ(list.element(3).number(2.5, 2.5, "2.5"), 2.5);
  EXPECT_EQ(message([&] { list.element(3).count(); }),
            "some.json: a.b[3] is 2.5; expected a whole number, 0 or more");
  EXPECT_EQ(message([&] { list.strings("a list of texts"); }),
            "some.json: a.b is [1,\"two\",null,2.5]; expected a list of texts");
  EXPECT_EQ(message([&] { root.strings(); }).substr(0, 28), "some.json: (top level) is {\"");
  EXPECT_EQ(message([&] { list.element(1).named("places").count("a number"); }),
            "some.json: places is \"two\"; expected a number");
}

TEST(JsonField, TellsAMemberThatIsNullFromOneThatIsMissing) {
  const JsonDocument read = document();
  const JsonField a = read.root().member("a");
  ASSERT_TRUE(a.given("n"));
  EXPECT_TRUE(a.given("n")->is_null());
  EXPECT_FALSE(a.find("n"));
  EXPECT_FALSE(a.given("c"));
  EXPECT_FALSE(a.member("b").given("c"));
}

TEST(JsonField, CountsUpToTheLargestWord) {
  const JsonDocument read("some.json", R"([18446744073709551615, -1, 2.0, ["a", "b"], []])");
  const JsonField root = read.root();
  EXPECT_EQ(root.element(0).count(), UINT64_MAX);
  EXPECT_FALSE(root.element(1).count_or_nothing());
  EXPECT_FALSE(root.element(2).count_or_nothing());
  EXPECT_EQ(root.element(3).strings(), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(root.element(4).strings().empty());
}

TEST(OrderedJsonField, KeepsTheOrderOfTheFileInMembersAndMessages) {
  const OrderedJsonDocument read("some.json", R"({"b": 1, "a": {"d": 2, "c": 3}})", {},
                                 JsonWording::is);
  const auto members = read.root().members();
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].first, "b");
  EXPECT_EQ(members[1].first, "a");
  EXPECT_EQ(message_of<Error>([&] { members[1].second.string(); }),
            "some.json: a is {\"d\":2,\"c\":3}, expected a string");
  std::string long_list = "[0";
  for (int i = 0; i < 20'000; ++i) long_list += ",0";
  EXPECT_THROW(OrderedJsonDocument("long.json", long_list + "]"), Error);
}

TEST(JsonField, TakesWhateverStandsThereInItsLenientForm) {
  const JsonDocument read = document();
  const JsonField root = read.root();
  EXPECT_FALSE(root.find("c"));
  EXPECT_FALSE(root.find("a")->find("n"));
  const JsonField list = *root.find("a")->find("b");
  EXPECT_FALSE(list.find("c"));
  EXPECT_TRUE(list.members().empty());
  ASSERT_EQ(list.elements().size(), 4U);
  EXPECT_EQ(list.any_text(), "1,two,,2.5");
  EXPECT_EQ(list.elements()[0].integer_or_nothing(), 1);
  EXPECT_FALSE(list.elements()[0].string_or_nothing());
  EXPECT_FALSE(list.elements()[1].number_or_nothing());
  EXPECT_FALSE(list.elements()[3].integer_or_nothing());
  EXPECT_EQ(list.elements()[3].number_or_nothing(), 2.5);
  EXPECT_FALSE(root.find("big")->integer_or_nothing());
  EXPECT_EQ(root.find("a")->find("t")->boolean_or_nothing(), true);
  EXPECT_EQ(root.find("a")->find("t")->any_text(), "true");
  ASSERT_EQ(root.members().size(), 2U);
  EXPECT_EQ(root.members()[0].second.key(), "a");
}

TEST(JsonField, HoldsItsDocumentToLimits) {
  EXPECT_THROW(JsonDocument("deep.json", "[[[1]]]", JsonLimits{.depth = 2}), Error);
  EXPECT_THROW(JsonDocument("long.json", "[1,2,3,4]", JsonLimits{.values = 3}), Error);
  EXPECT_THROW(JsonDocument("large.json", "[1,2,3,4]", JsonLimits{.bytes = 4}), Error);
}

}  // namespace
}  // namespace rankfold
