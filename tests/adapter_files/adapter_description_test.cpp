#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

json good_site() {
  return {{"name", "layer.0.query"},
          {"matrix", "q"},
          {"layer", 0},
          {"out", 8},
          {"in", 4},
          {"heads", 2}};
}

json good_configuration() {
  return {{"format", "rankfold"},
          {"version", 1},
          {"method", "lora"},
          {"rank", "4"},
          {"alpha", 2.5},
          {"options", {{"rslora", "true"}}},
          {"targets", "q,v"},
          {"layers", "all"},
          {"sites", json::array({json{{"name", "layer.0.query"}, {"rank", "2"}, {"alpha", 3}}})},
          {"stack", json::array({good_site()})},
          {"train", "head"},
          {"head", false},
          {"model", "minilm"},
          {"fingerprint", "12ab"},
          {"task", "tweets"},
          {"labels", 3},
          {"regression", true},
          {"max_length", 64},
          {"batch", 8},
          {"score_on", "held-out"},
          {"precision", "bf16"},
          {"seed", 18446744073709551615U}};
}

class AdapterDescriptionFile : public testing::Test {
 protected:
  AdapterDescription read(const json& configuration) const {
    write_atomically(file, configuration.dump());
    return read_adapter_description(folder.path);
  }
  /// What is said of the file, without its name.
  std::string message(const json& configuration) const {
    const std::string text = message_of<Error>([&] { read(configuration); });
    const std::string begin = file.string() + ": ";
    return text.starts_with(begin) ? text.substr(begin.size()) : text;
  }
  std::string message_with(const std::string& key, const json& value) const {
    json configuration = good_configuration();
    configuration[key] = value;
    return message(configuration);
  }

  TemporaryFolder folder;
  std::filesystem::path file = folder.path / "adapter_config.json";
};

TEST_F(AdapterDescriptionFile, IsReadKeyByKey) {
  const AdapterDescription found = read(good_configuration());
  EXPECT_EQ(found.method, "lora");
  EXPECT_EQ(found.rank, "4");
  EXPECT_EQ(found.alpha, 2.5);
  EXPECT_EQ(found.settings.alpha, 2.5);
  EXPECT_EQ(found.settings.options, (std::map<std::string, std::string>{{"rslora", "true"}}));
  EXPECT_EQ(found.targets, "q,v");
  EXPECT_EQ(found.layers, "all");
  ASSERT_EQ(found.sites.size(), 1U);
  EXPECT_EQ(found.sites[0].name, "layer.0.query");
  EXPECT_EQ(found.sites[0].rank, "2");
  EXPECT_EQ(found.sites[0].alpha, 3.0);
  ASSERT_EQ(found.stack.size(), 1U);
  EXPECT_EQ(found.stack[0].name, "layer.0.query");
  EXPECT_EQ(found.stack[0].matrix, MatrixType::q);
  EXPECT_EQ(found.stack[0].out, 8U);
  EXPECT_EQ(found.stack[0].in, 4U);
  EXPECT_EQ(found.stack[0].heads, 2U);
  EXPECT_EQ(found.train, "head");
  EXPECT_FALSE(found.head);
  EXPECT_EQ(found.model, "minilm");
  EXPECT_EQ(found.fingerprint, "12ab");
  EXPECT_EQ(found.task, "tweets");
  EXPECT_EQ(found.labels, 3U);
  EXPECT_TRUE(found.regression);
  EXPECT_EQ(found.max_length, 64U);
  EXPECT_EQ(found.batch, 8U);
  EXPECT_EQ(found.score_on, "held-out");
  EXPECT_EQ(found.precision, "bf16");
  EXPECT_EQ(found.seed, UINT64_MAX);
}

TEST_F(AdapterDescriptionFile, IsRefusedByTheKeyOfAnotherType) {
  for (const char* key : {"format", "method", "rank", "targets", "layers", "train", "model",
                          "fingerprint", "task", "score_on", "precision"}) {
    EXPECT_EQ(message_with(key, 3), std::string(key) + " is 3; expected a text");
    EXPECT_EQ(message_with(key, nullptr), std::string(key) + " is null; expected a text");
  }
  for (const char* key : {"version", "labels", "max_length", "batch", "seed"})
    for (const json& value : {json("3"), json(-1), json(2.5), json(nullptr), json::array()})
      EXPECT_EQ(message_with(key, value),
                key + (" is " + value.dump()) + "; expected a whole number, 0 or more");
  for (const char* key : {"head", "regression"})
    EXPECT_EQ(message_with(key, "yes"), std::string(key) + " is \"yes\"; expected true or false");
  EXPECT_EQ(message_with("alpha", "8"), "alpha is \"8\"; expected a number or null");
  EXPECT_EQ(message_with("alpha", nullptr), "");
  EXPECT_EQ(message_with("options", {"b", "a"}),
            "options is [\"b\",\"a\"]; expected an object of texts");
  EXPECT_EQ(message_with("options", {{"rslora", true}}), "options.rslora is true; expected a text");
  EXPECT_EQ(message_with("sites", 3), "sites is 3; expected a list of sites");
  EXPECT_EQ(message_with("stack", nullptr), "stack is null; expected a list of weights");
  EXPECT_EQ(message(json::array({1})), "the document is [1], expected an object");
}

TEST_F(AdapterDescriptionFile, IsRefusedByAValueOutOfRange) {
  EXPECT_EQ(message_with("format", "peft"),
            "format is \"peft\"; expected 'rankfold', an adapter folder that rankfold wrote");
  EXPECT_EQ(message_with("version", 2), "version is 2; expected 1");
  EXPECT_EQ(message_with("labels", 0), "labels is 0; expected 1 to 100000");
  EXPECT_EQ(message_with("labels", 100001), "labels is 100001; expected 1 to 100000");
  EXPECT_EQ(message_with("max_length", 0), "max_length is 0; expected 1 or more");
  EXPECT_EQ(message_with("batch", 0), "batch is 0; expected 1 or more");
  EXPECT_EQ(message_with("score_on", "test"), "score_on is \"test\"; expected dev or held-out");
  EXPECT_EQ(message_with("precision", "f16"), "precision is \"f16\"; expected f32 or bf16");
}

TEST_F(AdapterDescriptionFile, IsRefusedByASiteThatIsNone) {
  const auto site = [&](const json& value) { return message_with("sites", json::array({value})); };
  EXPECT_EQ(
      site({{"rank", "2"}, {"alpha", 1}}),
      "sites is {\"rank\":\"2\",\"alpha\":1}; expected an object with a name, and perhaps rank "
      "and alpha");
  EXPECT_EQ(site("x"),
            "sites is \"x\"; expected an object with a name, and perhaps rank and alpha");
  EXPECT_EQ(site({{"name", 3}}), "sites.name is 3; expected a text");
  EXPECT_EQ(site({{"name", "x"}, {"rank", 2}}), "sites.rank is 2; expected a text");
  EXPECT_EQ(site({{"name", "x"}, {"alpha", "1"}}),
            "sites is {\"name\":\"x\",\"alpha\":\"1\"}; expected a number for alpha");
  EXPECT_EQ(site({{"name", "x"}, {"scale", 2}}),
            "the key 'sites.scale' is 2; rankfold does not know it, and it may change what is "
            "computed");
}

TEST_F(AdapterDescriptionFile, IsRefusedByAWeightThatIsNone) {
  const auto weight = [&](const json& value) {
    return message_with("stack", json::array({value}));
  };
  EXPECT_EQ(
      weight({{"name", "x"}}),
      "stack is {\"name\":\"x\"}; expected an object with name, matrix, layer, out, in and heads");
  const auto changed = [&](const char* key, const json& value) {
    json site = good_site();
    site[key] = value;
    return weight(site);
  };
  EXPECT_EQ(changed("name", 3), "stack.name is 3; expected a text");
  EXPECT_EQ(changed("matrix", 3), "stack.matrix is 3; expected a text");
  EXPECT_EQ(
      changed("matrix", "z"),
      "stack.matrix is {\"name\":\"layer.0.query\",\"matrix\":\"z\",\"layer\":0,\"out\":8,\"in\":4,"
      "\"heads\":2}; expected the name of a matrix type");
  for (const char* key : {"layer", "out", "in", "heads"})
    for (const json& value : {json("1"), json(-1), json(1.5), json((1U << 24) + 1)}) {
      const std::string text = changed(key, value);
      EXPECT_TRUE(text.starts_with("stack." + std::string(key) + " is {\"name\":")) << text;
      EXPECT_TRUE(text.ends_with("; expected a whole number")) << text;
    }
}

TEST_F(AdapterDescriptionFile, NamesAKeyThatIsMissing) {
  const auto without = [&](const std::string& key) {
    json configuration = good_configuration();
    configuration.erase(key);
    return message(configuration);
  };
  for (const std::string key :
       {"format", "method", "rank", "targets", "model", "fingerprint", "task"})
    EXPECT_EQ(without(key), key + " is missing; expected a text");
  for (const std::string key : {"version", "labels"})
    EXPECT_EQ(without(key), key + " is missing; expected a whole number, 0 or more");
  EXPECT_EQ(without("regression"), "regression is missing; expected true or false");
  for (const char* key : {"alpha", "options", "layers", "sites", "stack", "train", "head",
                          "max_length", "batch", "score_on", "precision", "seed"})
    EXPECT_EQ(without(key), "");
}

}  // namespace
}  // namespace rankfold
