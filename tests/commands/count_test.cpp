#include <chrono>
#include <fstream>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commands/command_line.h"
#include "core/base/files.h"
#include "experiments/models/shapes.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::string option_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const json& part : value) text += (text.empty() ? "" : ",") + part.dump();
  return text;
}

/// An entry of counts.json as a call of the command line.
std::vector<std::string> words_of(const json& entry) {
  std::vector<std::string> words = {"count", "--json"};
  for (const char* key : {"model", "method", "rank", "targets", "train", "labels"})
    if (entry.contains(key)) {
      words.push_back(std::string("--") + key);
      words.push_back(option_text(entry[key]));
    }
  for (const auto& [key, value] : entry["options"].items()) {
    std::string name = key;
    std::ranges::replace(name, '_', '-');
    words.push_back("--set");
    words.push_back(name + "=" + option_text(value));
  }
  return words;
}

TEST(Count, GivesThePublishedNumbers) {
  const json entries = json::parse(read_text(RANKFOLD_GOLDEN_DIR "/counts.json"));
  EXPECT_GT(entries.size(), 0U);
  for (const json& entry : entries) {
    SCOPED_TRACE(entry.dump());
    const Outcome outcome = call(words_of(entry));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.json()["adapter"], entry["adapter"]);
    if (entry.contains("trainable")) {
      EXPECT_EQ(outcome.json()["trainable"], entry["trainable"]);
    }
  }
}

TEST(Count, TellsOnceWhatTheMethodChose) {
  const Outcome outcome = call("count --model minilm-l6 --method loretta_rep --rank 5 --json");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("[loretta_rep]"));
  EXPECT_THAT(outcome.err, HasSubstr("shape-a"));
  std::istringstream lines(outcome.err);
  std::set<std::string> seen;
  for (std::string line; std::getline(lines, line);) EXPECT_TRUE(seen.insert(line).second) << line;
  EXPECT_EQ(call("count --model roberta-base --method lora --rank 5").err, "");
}

TEST(Count, OfEverythingIsOfFullAlone) {
  const Outcome whole =
      call("count --model roberta-base --method full --targets everything --json");
  ASSERT_EQ(whole.status, 0) << whole.err;
  EXPECT_EQ(whole.json()["targets"], "everything");
  EXPECT_EQ(whole.json()["adapter"], find_shape("roberta-base").parameters);
  const Outcome lora =
      call("count --model roberta-base --method lora --rank 2 --targets everything");
  EXPECT_EQ(lora.status, 2);
  EXPECT_THAT(lora.err, HasSubstr("--targets everything: lora has no meaning"));
  const Outcome norms =
      call("count --model roberta-base --method full --targets everything --train norms");
  EXPECT_EQ(norms.status, 2);
  EXPECT_THAT(norms.err, HasSubstr("everything holds the norms"));
}

TEST(Count, PrintsTheFieldsOfTheContract) {
  const Outcome outcome =
      call("count --model roberta-base --method lotr --rank 2 --train head --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json document = outcome.json();
  std::vector<std::string> keys;
  for (const auto& [key, value] : document.items()) keys.push_back(key);
  EXPECT_THAT(keys, testing::UnorderedElementsAre("model", "method", "rank", "targets", "matrices",
                                                  "adapter", "trainable", "factors"));
  EXPECT_EQ(document["rank"], 2);
  EXPECT_EQ(document["matrices"], 24);
  EXPECT_EQ(document["adapter"], 3168);
  EXPECT_EQ(document["trainable"], 595298);
  std::size_t total = 0;
  for (const json& factor : document["factors"]) {
    std::size_t size = factor["copies"].get<std::size_t>();
    for (const json& extent : factor["shape"]) size *= extent.get<std::size_t>();
    if (factor["trainable"].get<bool>()) total += size;
    EXPECT_EQ(factor.size(), 4U);
  }
  EXPECT_EQ(total, 3168U);
}

TEST(Count, WithoutTrainedPartsTrainableIsTheAdapter) {
  const json document = call("count --model llama-2-7b --method lora --rank 1 --json").json();
  EXPECT_EQ(document["trainable"], document["adapter"]);
  EXPECT_EQ(call("count --model roberta-base --method none --json").json()["adapter"], 0);
  EXPECT_TRUE(call("count --model roberta-base --method none --json").json()["rank"].is_null());
}

TEST(Count, OrderOfTargetsDoesNotMatter) {
  const json document =
      call("count --model roberta-base --method lorta --rank 3 --targets o,v,q --json").json();
  EXPECT_EQ(document["targets"], "q,v,o");
  EXPECT_EQ(document["matrices"], 36);
}

TEST(Count, TakesPatternsOfModuleNamesForTargets) {
  const std::string words = "count --model roberta-base --method lora --rank 3 --json ";
  const json byname = call(words + "--targets q,up").json();
  for (const char* option : {"--targets", "--targets-like"}) {
    json document = call(words + option + " *.query,*.intermediate.*").json();
    EXPECT_EQ(document["targets"], "*.query,*.intermediate.*");
    document["targets"] = byname["targets"];
    EXPECT_EQ(document, byname);
  }
  EXPECT_EQ(call(words + "--targets all").json()["matrices"], 72);
  for (const char* wrong : {"--targets *.mlp.*", "--targets *.query,key", "--targets all,q",
                            "--targets q --targets-like *.key"}) {
    const Outcome outcome = call(words + wrong);
    EXPECT_EQ(outcome.status, 2) << wrong;
    EXPECT_THAT(outcome.err, HasSubstr("targets")) << wrong;
  }
}

TEST(Count, UnderstandsLayers) {
  const auto matrices = [](const std::string& layers) {
    return call("count --model roberta-base --method lora --rank 1 --json --layers " + layers)
        .json()["matrices"]
        .get<int>();
  };
  EXPECT_EQ(matrices("all"), 24);
  EXPECT_EQ(matrices("first:3"), 6);
  EXPECT_EQ(matrices("last:1"), 2);
  EXPECT_EQ(matrices("0,2,5-7"), 10);
}

TEST(Count, AlbertHasOneSiteAMatrixType) {
  EXPECT_EQ(call("count --model albert-base-v2 --method lora --rank 8 --json").json()["adapter"],
            2 * 8 * 2 * 768);
}

TEST(Count, TakesGroupedQueryAttentionIntoAccount) {
  // 80 layers; q 8192 x 8192, v 1024 x 8192 (8 of 64 heads).
  EXPECT_EQ(call("count --model llama-2-70b --method lora --rank 8 --json").json()["adapter"],
            16384000);
}

TEST(Count, ReadsTheShapeOfAModelFolder) {
  const Outcome outcome =
      call("count --model " RANKFOLD_GOLDEN_DIR "/models/bert --method lora --rank 2 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["adapter"], 2 * 2 * 2 * (32 + 32));
  EXPECT_EQ(outcome.json()["model"], "bert");
}

TEST(Count, TakesSeveralKeysAfterOneSet) {
  const Outcome once = call(
      "count --model roberta-base --method loretta_rep --rank 5 --json --set bottleneck=8 "
      "shape-a=8,12,8,8 shape-b=8,12,8,8");
  ASSERT_EQ(once.status, 0) << once.err;
  EXPECT_EQ(once.json()["adapter"], 27840);
  const Outcome twice = call(
      "count --model roberta-base --method loretta_rep --rank 5 --json --set bottleneck=8 "
      "--set shape-a=8,12,8,8 --set shape-b=8,12,8,8");
  EXPECT_EQ(once.out, twice.out);
}

TEST(Count, HandlesTensorTrainHeads) {
  // LoRETTA, 768 x 768 at rank 5: 2 * 60 + 4 * 8 * 25 + 768.
  const auto trainable = [](const std::string& model, const std::string& parts) {
    const json document =
        call("count --json --method loretta_adp --rank 5 --model " + model + " --train " + parts)
            .json();
    return document["trainable"].get<int>() - document["adapter"].get<int>();
  };
  EXPECT_EQ(trainable("roberta-base", "tt-head"), 1688);
  EXPECT_EQ(trainable("roberta-base", "norms"), 38400);
  EXPECT_EQ(trainable("roberta-base", "norms,tt-head,output"), 41626);
  // Without a rank that of LoRETTA, 5.
  for (const char* method : {"none", "full"}) {
    const json counted =
        call(std::string("count --model roberta-base --train tt-head --json --method ") + method)
            .json();
    EXPECT_EQ(counted["trainable"].get<int>() - counted["adapter"].get<int>(), 1688);
  }
  EXPECT_EQ(trainable("bert-base-uncased", "head"), 1538);
  EXPECT_EQ(trainable("llama-2-7b", "head"), 8192);
  EXPECT_EQ(trainable("llama-2-7b", "norms"), 266240);
}

TEST(Shapes, HaveTheKnownNumbersOfParameters) {
  const std::map<std::string, std::size_t> known = {
      {"roberta-base", 124647170 - 592130},  // LoTR's docstring, two labels
      {"bert-base-uncased", 109482240},
      {"albert-base-v2", 11683584},
      {"deberta-base", 138601728},
      {"deberta-v3-base", 183831552},
      {"llama-3.2-3b", 3212749824},
      {"gpt2-medium", 354823168},
      {"gpt2-large", 774030080},
      {"llama-2-7b", 6738415616 - 32000 * 4096},
      {"vit-base-patch16", 85798656},
      {"minilm-l6", 22713216}};
  for (const auto& [name, parameters] : known)
    EXPECT_EQ(find_shape(name).parameters, parameters) << name;
  EXPECT_EQ(built_in_shapes().size(), 24U);
  EXPECT_EQ(head_parameters(find_shape("roberta-base"), 2), 592130U);
  EXPECT_EQ(head_parameters(find_shape("roberta-base"), 3), 592899U);
}

TEST(Shapes, NameTheModulesOfHuggingFace) {
  const auto names = [](const std::string& model) {
    std::vector<std::string> result;
    for (const Site& site : catalogue(find_shape(model)).sites) result.push_back(site.name);
    return result;
  };
  EXPECT_EQ(names("roberta-base")[2], "roberta.encoder.layer.0.attention.self.value");
  EXPECT_EQ(names("deberta-base").size(), 84U + 24 + 1);
  EXPECT_THAT(names("deberta-base"),
              testing::Contains("deberta.encoder.layer.11.attention.self.in_proj"));
  EXPECT_THAT(names("llama-3-8b"), testing::Contains("model.layers.31.mlp.gate_proj"));
}

struct WrongCall {
  const char* words;
  const char* message;
  int status = 2;
};
class WrongCount : public testing::TestWithParam<WrongCall> {};

TEST_P(WrongCount, EndsWithOneLineThatNamesIt) {
  const Outcome outcome = call(std::string("count ") + GetParam().words);
  EXPECT_EQ(outcome.status, GetParam().status);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.error_lines(), 1U) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Commands, WrongCount,
    testing::Values(
        WrongCall{"--model roberta-base --method lora", "rank"},
        WrongCall{"--model roberta-base --method lora --rank 0", "'0'"},
        WrongCall{"--model roberta-base --method lora --rank abc", "'abc'"},
        WrongCall{"--model roberta-base --method lora --rank -3", "'-3'"},
        WrongCall{"--model roberta-base --method lora --rank 8.5", "'8.5'"},
        WrongCall{"--model roberta-base --method lora --rank 769", "768"},
        WrongCall{"--model roberta-base --method lora --rank 99999999999999999999", "99999"},
        WrongCall{"--model roberta-base --method none --rank 8", "no rank"},
        WrongCall{"--model roberta-base --method lorra --rank 8", "did you mean 'lora'"},
        WrongCall{"--model roberta-bas --method lora --rank 8", "did you mean 'roberta-base'"},
        WrongCall{"--model /etc/passwd --method lora --rank 8", "not a folder", 1},
        WrongCall{"--model /tmp --method lora --rank 8", "config.json", 1},
        WrongCall{"--model roberta-base --method lora --rank 8 --layers 12", "layer 12"},
        WrongCall{"--model roberta-base --method lora --rank 8 --layers first:13", "12 layers"},
        WrongCall{"--model roberta-base --method lora --rank 8 --layers 3-1", "3-1"},
        WrongCall{"--model roberta-base --method lora --rank 8 --layers first:0", "first:0"},
        WrongCall{"--model roberta-base --method lora --rank 8 --targets q,q", "twice"},
        WrongCall{"--model roberta-base --method lora --rank 8 --targets gate", "gate"},
        WrongCall{"--model deberta-base --method lora --rank 8 --targets q,in_proj",
                  "q is a part of in_proj"},
        WrongCall{"--model roberta-base --method lora --rank 8 --targets in_proj", "in_proj"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set", "--set"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set rslora", "key=value"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set =1", "key=value"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set rslora=", "key=value"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set rslora=1", "true"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set rslor=true",
                  "did you mean 'rslora'"},
        WrongCall{"--model roberta-base --method lora --rank 8 --set init=fan-in init=fan-in",
                  "twice"},
        WrongCall{"--model roberta-base --method loretta_rep --rank 5 --set shape-a=8,8,8", "512"},
        WrongCall{"--model roberta-base --method loretta_rep --rank 5 --set shape-a=8,,8", "8,,8"},
        WrongCall{"--model roberta-base --method loretta_rep --rank 5 --set bottleneck=0", "'0'"},
        WrongCall{"--model roberta-base --method lora --rank 8 --alpha nan", "alpha"},
        WrongCall{"--model roberta-base --method lora --rank 8 --alpha 0", "alpha"},
        WrongCall{"--model roberta-base --method lora --rank 8 --preset pefd", "peft"},
        WrongCall{"--model roberta-base --method lora --rank 8 --train heads", "'head'"},
        WrongCall{"--model roberta-base --method lora --rank 8 --train norms,norms", "twice"},
        WrongCall{"--model llama-2-7b --method lora --rank 8 --train tt-head", "no dense layer"},
        WrongCall{"--model roberta-base --method lora --rank 8 --labels 0", "--labels"},
        WrongCall{"--model roberta-base --method lora --rank 8 --labels 9999999999", "--labels"},
        WrongCall{"--model roberta-base --method lora --rank 8 --ranks 1", "did you mean '--rank'"},
        WrongCall{"--model roberta-base --method lora --rank 8 --rank 9", "twice"},
        WrongCall{"--model roberta-base --method lora --rank 8 --rank=", "--rank"},
        WrongCall{"--model roberta-base --method lora --rank 8 --ran 9", "'--ran'"},
        WrongCall{"--model roberta-base --method lora --rank 8 -r", "'-r'"},
        WrongCall{"--model roberta-base --method lora --rank 8 more", "'more'"},
        WrongCall{"--model roberta-base --method lora --rank 8 --json=yes", "--json"},
        WrongCall{"--model roberta-base --method lora --rank 8 --effectiv", "'--effectiv'"},
        WrongCall{"--model roberta-base --method loretta_adp --rank 5 --effective", "loretta_adp"},
        WrongCall{"--model roberta-base --method lora --rank 8 --budget 9", "exclude each other"},
        WrongCall{"--model roberta-base --method lora --budget 0", "--budget is '0'"},
        WrongCall{"--model roberta-base --method lora --budget 36863",
                  "36864 parameters at rank 1"},
        WrongCall{"--method lora --rank 8", "--model is missing"},
        WrongCall{"--model --method lora", "--model"}));

TEST(Count, AnEmptyValueIsNoValue) {
  const Outcome outcome = call({"count", "--model", "roberta-base", "--method", ""});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.error_lines(), 1U);
}

/// A model folder with the given config.json.
Outcome count_config(const std::string& config) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "config.json", config);
  return call(
      {"count", "--model", folder.path.string(), "--method", "lora", "--rank", "1", "--json"});
}

TEST(Count, RefusesConfigurationsThatCannotBe) {
  const std::string good =
      R"({"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
          "intermediate_size": 64, "vocab_size": 101, "max_position_embeddings": 64,
          "type_vocab_size": 2})";
  ASSERT_EQ(count_config(good).status, 0) << count_config(good).err;
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string changed = good;
    changed.replace(changed.find(from), from.size(), to);
    return count_config(changed);
  };
  const std::vector<std::pair<Outcome, std::string>> wrong = {
      {count_config("{"), "config.json"},
      {count_config("[1, 2]"), "object"},
      {count_config(""), "config.json"},
      {with("\"bert\"", "\"berd\""), "did you mean 'bert'"},
      {with("\"bert\"", "7"), "model_type"},
      {with("\"hidden_size\": 32", "\"hidden_size\": -32"), "hidden_size"},
      {with("\"hidden_size\": 32", "\"hidden_size\": 33"), "divisor"},
      {with("\"hidden_size\": 32", "\"hidden_size\": 1e9"), "hidden_size"},
      {with("\"hidden_size\": 32", "\"hidden_size\": \"32\""), "hidden_size"},
      {with("\"hidden_size\": 32, ", ""), "hidden_size"},
      {with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 2000000000"), "num_hidden_layers"},
      {with("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 0"), "num_hidden_layers"},
      {with("\"num_attention_heads\": 4", "\"num_attention_heads\": null"), "num_attention_heads"}};
  for (const auto& [outcome, message] : wrong) {
    EXPECT_EQ(outcome.status, 1) << message;
    EXPECT_THAT(outcome.err, HasSubstr(message));
    EXPECT_EQ(outcome.error_lines(), 1U);
  }
}

TEST(Count, AddsDegreesOfFreedomWhereAskedTo) {
  const std::string words = "count --model roberta-base --method lotr --rank 2 --effective";
  const Outcome large = call(words + " --json");
  ASSERT_EQ(large.status, 0) << large.err;
  EXPECT_EQ(large.json()["degrees_of_freedom"], 2 * 768 * 2 + 24 * 4 - 2 * 4);
  EXPECT_EQ(large.json()["degrees_of_freedom_method"], "reduced sizes");
  EXPECT_EQ(large.json()["attainable_rank"].size(), 24U);
  EXPECT_EQ(large.json()["attainable_rank"][0]["rank"], 2);
  EXPECT_THAT(large.err, HasSubstr("smaller sizes"));
  EXPECT_THAT(call(words).out, HasSubstr("degrees of freedom  3160 (from smaller sizes)\n"));
  const Outcome small = call("count --model " RANKFOLD_GOLDEN_DIR
                             "/models/bert --method lora --rank 2 --effective --json");
  ASSERT_EQ(small.status, 0) << small.err;
  EXPECT_EQ(small.json()["degrees_of_freedom"], 4 * (2 * 64 - 4));
  EXPECT_EQ(small.json()["degrees_of_freedom_method"], "exact");
  EXPECT_EQ(small.err, "");
  EXPECT_FALSE(call("count --model roberta-base --method lotr --rank 2 --json")
                   .json()
                   .contains("degrees_of_freedom"));
}

TEST(Count, ChoosesTheRankByABudget) {
  const Outcome lotr = call("count --model roberta-base --method lotr --budget 50000 --json");
  ASSERT_EQ(lotr.status, 0) << lotr.err;
  EXPECT_EQ(lotr.json()["rank"], 23);
  EXPECT_EQ(lotr.json()["budget"], 50000);
  EXPECT_EQ(lotr.json()["over_budget"], false);
  const Outcome full = call("count --model roberta-base --method full --budget 9 --json");
  EXPECT_EQ(full.json()["over_budget"], true);
  EXPECT_EQ(full.json()["adapter"], 14155776);
  EXPECT_THAT(full.err, HasSubstr("14155776 parameters, more than the budget of 9"));
  EXPECT_EQ(lotr.json()["adapter"], 1536 * 23 + 24 * 23 * 23);
  EXPECT_THAT(call("count --model roberta-base --method lotr --budget 50000").out,
              HasSubstr("rank 23 (budget 50000)"));
  const Outcome ring =
      call("count --model roberta-base --method tensor_ring --budget 50000 --json");
  EXPECT_EQ(ring.json()["rank"], "6x5x6x5");
  EXPECT_EQ(call("count --model roberta-base --method none --budget 1 --json").json()["adapter"],
            0);
}

TEST(Count, IsQuick) {
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) call("count --model llama-2-70b --method lotr --rank 8 --json");
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count() / 20, 0.1);
}

}  // namespace
}  // namespace rankfold
