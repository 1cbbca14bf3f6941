#include "experiments/models/config_file.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

const ConfigFile config("c.json", R"({"n": 3, "negative": -2, "big": 18446744073709551615,
  "x": 0.5, "yes": true, "word": "C2P|p2c", "words": ["a", "B"], "mixed": ["a", 1],
  "nothing": null})");

TEST(ConfigFile, ReadsValuesAndFallbacks) {
  EXPECT_EQ(config.path(), "c.json");
  EXPECT_TRUE(config.has("n"));
  EXPECT_FALSE(config.has("nothing"));
  EXPECT_EQ(config.count("n"), 3u);
  EXPECT_EQ(config.count("nothing", 7), 7u);
  EXPECT_EQ(config.integer("negative", -2, 2), -2);
  EXPECT_EQ(config.integer("missing", -2, 2, 1), 1);
  EXPECT_EQ(config.number("x", 0, 1), 0.5);
  EXPECT_EQ(config.number("missing", 0, 1, 0.25), 0.25);
  EXPECT_TRUE(config.flag("yes", false));
  EXPECT_TRUE(config.flag("nothing", true));
  EXPECT_EQ(config.text("word"), "C2P|p2c");
  EXPECT_EQ(config.text("missing", "b"), "b");
  EXPECT_EQ(config.texts("word"), (std::vector<std::string>{"c2p", "p2c"}));
  EXPECT_EQ(config.texts("words"), (std::vector<std::string>{"a", "B"}));
  EXPECT_EQ(config.texts("missing", "none"), std::vector<std::string>{"none"});
}

TEST(ConfigFile, NamesFileKeyWhatWasFoundAndWhatWasExpected) {
  const auto message = [](auto action) { return message_of<Error>(action); };
  EXPECT_EQ(message([] { config.count("missing"); }),
            "c.json: missing is missing; expected an integer");
  EXPECT_EQ(message([] { config.count("nothing"); }),
            "c.json: nothing is null; expected an integer");
  EXPECT_EQ(message([] { config.count("negative"); }),
            "c.json: negative is -2, expected an integer from 1 to 2147483647");
  EXPECT_EQ(message([] { config.integer("big", 0, 5); }),
            "c.json: big is 18446744073709551615, expected an integer from 0 to 5");
  EXPECT_EQ(message([] { config.count("x"); }),
            "c.json: x is 0.5, expected an integer from 1 to 2147483647");
  EXPECT_EQ(message([] { config.number("n", 0, 1); }),
            "c.json: n is 3, expected a number from 0 to 1");
  EXPECT_EQ(message([] { config.number("word", 0, 1); }),
            "c.json: word is \"C2P|p2c\", expected a number from 0 to 1");
  EXPECT_EQ(message([] { config.flag("n", false); }), "c.json: n is 3, expected true or false");
  EXPECT_EQ(message([] { config.text("n"); }), "c.json: n is 3, expected a text");
  EXPECT_EQ(message([] { config.texts("mixed"); }),
            "c.json: mixed is [\"a\",1], expected a list of texts");
  EXPECT_EQ(message([] { ConfigFile("d.json", "[1]"); }),
            "d.json: expected a JSON object, found array");
}

}  // namespace
}  // namespace rankfold
