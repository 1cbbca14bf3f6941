#include "core/base/json_value.h"

#include <gtest/gtest.h>

#include <limits>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_text.h"

namespace rankfold {
namespace {

TEST(JsonValue, IsWrittenAsTheSameListsOfTheLibraryAre) {
  const std::vector<std::string> texts = {"b", "a\n\xff"};
  const std::vector<std::size_t> counts = {3, 18446744073709551615u};
  const std::map<std::string, double> errors = {{"x", 1e-300}, {"y", 0.1}};
  const auto make = [&](auto&& null) {
    using Json = std::decay_t<decltype(null)>;
    Json document = {{"texts", texts}, {"counts", counts}, {"errors", errors},
                     {"null", null},   {"flag", true},     {"number", -1},
                     {"pair", {1, 2}}, {"one", 1.0},       {"nested", {{"a", "b"}, {"c", {1.5}}}}};
    document["later"].push_back({{"name", "n"}, {"value", 0.1f}});
    document["later"].push_back(Json());
    document["empty"] = Json::array();
    document["nothing"] = Json::object();
    document["none"] = std::numeric_limits<double>::quiet_NaN();
    document["texts"] = "replaced";
    Json copy = document;
    copy["flag"] = "of the copy";
    document["behind"] = copy;
    return document;
  };
  EXPECT_EQ(make(JsonValue()).text(), json_text(make(nlohmann::ordered_json())));
}

TEST(JsonValue, RefusesMembersAndElementsOfWhatHasNone) {
  JsonValue text = "text", list = JsonValue::array();
  EXPECT_THROW(text["key"], Error);
  EXPECT_THROW(list["key"], Error);
  EXPECT_THROW(text.push_back(1), Error);
}

}  // namespace
}  // namespace rankfold
