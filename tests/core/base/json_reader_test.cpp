#include "core/base/json_reader.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using testing::HasSubstr;

std::string refusal(const std::string& text, const JsonLimits& limits = {}) {
  return message_of<Error>([&] { parse_json(text, "x.json", limits); });
}

TEST(Json, OfABoundedDocumentIsRead) {
  EXPECT_EQ(parse_json("{\"a\": [1, 2.5, \"[[{,\\\"\"], \"a\": null}", "x.json").dump(),
            "{\"a\":null}");
  const ordered_json ordered = parse_json<ordered_json>("{\"b\": 1, \"a\": 2}", "x.json");
  EXPECT_EQ(ordered.dump(), "{\"b\":1,\"a\":2}");
}

TEST(Json, NestedTooDeepIsRefusedBeforeItIsBuilt) {
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string text;
    for (int i = 0; i < 200'000; ++i) text += open;
    EXPECT_EQ(refusal(text), open == "[" ? "x.json: is nested deeper than 64 levels (at byte 64)"
                                         : "x.json: is nested deeper than 64 levels (at byte 320)");
  }
}

TEST(Json, TooLargeInBytesOrValuesIsRefused) {
  EXPECT_EQ(refusal("[1, 2, 3, 4]", {.values = 4}), "x.json: holds more than 4 values");
  EXPECT_EQ(refusal("[1, 2, 3, 4]", {.bytes = 4}), "x.json: has 12 bytes, expected at most 4");
  std::string many = "[0";
  for (int i = 0; i < 30'000; ++i) many += ",0";
  EXPECT_EQ(refusal(many + "]"), "");
  EXPECT_THAT(message_of<Error>([&] { parse_json<ordered_json>(many + "]", "x.json"); }),
              HasSubstr("more than 20000 values"));
}

TEST(Json, ThatIsNoneIsRefusedInOurWords) {
  EXPECT_EQ(refusal("{\"a\": 1e999}"),
            "x.json: holds a number beyond the range of double precision");
  EXPECT_EQ(refusal("{\"a\": "), "x.json: is not valid JSON (at byte 6 of 6)");
  EXPECT_THAT(refusal(std::string("[1]\0[2]", 7)), HasSubstr("is not valid JSON (at byte 3"));
  EXPECT_THAT(refusal("[\"\xff\"]"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(refusal("]]]"), HasSubstr("is not valid JSON"));
  EXPECT_THAT(message_of<Error>([] { read_json("/nonexistent/x.json"); }), HasSubstr("x.json"));
}

constexpr auto read = ForeignKey::Meaning::read;
constexpr auto changes_nothing = ForeignKey::Meaning::changes_nothing;
constexpr auto off_only = ForeignKey::Meaning::off_only;

std::string judge(const std::string& text) {
  static const std::vector<ForeignKey> table = {{"r", read},
                                                {"revision", changes_nothing},
                                                {"bias", off_only, {"\"none\"", "1"}},
                                                {"use_x", off_only}};
  return message_of<Error>([&] {
    expect_known_keys(parse_json<ordered_json>(text, "c.json"), "c.json", "inner", {table});
  });
}

TEST(ForeignKeys, ThatAreKnownOrOffPass) {
  EXPECT_EQ(judge("{\"r\": 8, \"revision\": \"x\", \"bias\": \"none\", \"use_x\": false, "
                  "\"new\": null, \"newer\": [], \"newest\": \"\"}"),
            "");
  EXPECT_EQ(judge("{\"bias\": 1}"), "");
}

TEST(ForeignKeys, ThatMayChangeTheNumbersAreRefusedByName) {
  EXPECT_EQ(judge("{\"new\": 0}"),
            "c.json: the key 'inner.new' is 0; rankfold does not know it, and it may change what "
            "is computed");
  EXPECT_EQ(judge("{\"use_x\": true}"),
            "c.json: inner.use_x is true, which rankfold does not apply; expected none");
  EXPECT_EQ(judge("{\"bias\": \"all\"}"),
            "c.json: inner.bias is \"all\", which rankfold does not apply; expected none or "
            "\"none\" or 1");
  EXPECT_EQ(judge("[]"), "c.json: inner is [], expected an object");
}

}  // namespace
}  // namespace rankfold
