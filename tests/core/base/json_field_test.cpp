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
