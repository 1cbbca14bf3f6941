#include "experiments/adapter_files/adapter_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <limits>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "core/device/bfloat16_weight.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "source_paths.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AdapterFolder : public Workplace {
 protected:
  RunResult train(const RunSettings& settings) const {
    return finetune(settings, folder / "run", builtin_registry());
  }
  EvaluationRequest request() const {
    EvaluationRequest result;
    result.model = folder / "model";
    result.adapter = folder / "run/adapter";
    result.data = folder / "data";
    result.threads = 1;
    return result;
  }
  Evaluation evaluate_adapter() const { return evaluate(request(), builtin_registry()); }
  Evaluation evaluate_merged() const {
    EvaluationRequest wanted = request();
    wanted.model = folder / "merged";
    wanted.adapter.clear();
    wanted.task = "cola";
    wanted.max_length = 16;
    return evaluate(wanted, builtin_registry());
  }
  MergeResult merge_adapter() const {
    return merge(folder / "model", folder / "run/adapter", folder / "merged", builtin_registry());
  }
  std::string load_error() const {
    return error_of([&] { evaluate_adapter(); });
  }
  fs::path tensors() const { return folder / "run/adapter/adapter_model.safetensors"; }

  /// Rewrites the adapter's tensors after `change` has had its way with them.
  template <class Change>
  void rewrite(Change change) const {
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> list;
    {
      const SafetensorsFile file(tensors());
      for (const TensorEntry& entry : file.entries()) {
        values.push_back(file.read<float>(entry.name));
        list.push_back(make_tensor(entry.name, entry.shape, std::span<const float>(values.back())));
      }
    }
    change(list, values);
    write_safetensors(tensors(), list);
  }
};

TEST_F(AdapterFolder, KeepsEveryBit) {
  train(settings());
  const AdaptedModel adapted = load_adapted_model(folder / "model", folder / "run/adapter",
                                                  builtin_registry(), make_cpu_device());
  save_adapter(folder / "again", adapted.description, *adapted.adapter, *adapted.host);
  for (const char* name : {"adapter_model.safetensors", "adapter_config.json"}) {
    EXPECT_EQ(read_text(folder / "again" / name), read_text(folder / "run/adapter" / name)) << name;
  }
}

// Adapters of up and down were trained with the heads of attention before such sites had one head.
TEST_F(AdapterFolder, IsReadWithTheHeadsThatItWasTrainedWith) {
  RunSettings wanted = settings("lorta", "3");
  wanted.values["targets"] = "up";
  train(wanted);
  const fs::path file = folder / "run/adapter/adapter_config.json";
  auto document = nlohmann::json::parse(read_text(file));
  std::size_t out = 0;
  for (auto& site : document.at("stack")) {
    EXPECT_EQ(site.at("heads"), 1);
    site["heads"] = 4;
    out = site.at("out");
  }
  rewrite([&](std::vector<TensorToWrite>& list, std::vector<std::vector<float>>& values) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].name == "B") {
        values[i].assign(3 * out / 4, 0.5F);
        list[i] = make_tensor("B", {3, out / 4}, std::span<const float>(values[i]));
      } else if (list[i].name == "C_h") {
        values[i] = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};
        list[i] = make_tensor("C_h", {4, 3}, std::span<const float>(values[i]));
      }
    }
  });
  EXPECT_THAT(load_error(), HasSubstr("'B' is F32 [3, 16]; expected F32 [3, 64]"));
  write_atomically(file, document.dump());
  const AdaptedModel adapted = load_adapted_model(folder / "model", folder / "run/adapter",
                                                  builtin_registry(), make_cpu_device());
  const Site& site = adapted.adapter->stack().sites.front();
  std::vector<float> update(site.out * site.in);
  adapted.adapter->reconstruct(0, {update.data(), site.out, site.in});
  for (const std::size_t head : {0, 1, 2, 3})
    for (std::size_t column = 0; column < site.in; ++column)
      EXPECT_FLOAT_EQ(update[(head * out / 4 + 5) * site.in + column],
                      static_cast<float>(head + 1) * update[column]);
}

TEST_F(AdapterFolder, NamesFactorsBySiteAndTheHeadAsTheCheckpointDoes) {
  train(settings());
  const SafetensorsFile file(tensors());
  EXPECT_NE(file.find("A.bert.encoder.layer.1.attention.self.query"), nullptr);
  EXPECT_NE(file.find("B.bert.encoder.layer.0.attention.self.value"), nullptr);
  EXPECT_NE(file.find("classifier.weight"), nullptr);
  EXPECT_EQ(file.entries().size(), 10U);
}

TEST_F(AdapterFolder, GivesTheScoreThatTheRunReported) {
  RunSettings wanted = settings();
  wanted.values["epochs"] = "6";
  const RunResult run = train(wanted);
  const Evaluation evaluation = evaluate_adapter();
  EXPECT_EQ(evaluation.task, "cola");
  EXPECT_EQ(evaluation.scores, run.scores);
  EXPECT_EQ(evaluation.examples, 17U);
}

TEST_F(AdapterFolder, IsEvaluatedInThePrecisionOfItsRun) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  RunSettings wanted = settings();
  wanted.values["epochs"] = "6";
  wanted.values["precision"] = "bf16";
  const RunResult run = train(wanted);
  EvaluationRequest asked = request();
  const auto logits = [&](const std::string& precision) {
    asked.precision = precision;
    asked.predictions = folder / "predictions.tsv";
    EXPECT_EQ(evaluate(asked, builtin_registry()).examples, 17U);
    return read_text(asked.predictions);
  };
  EXPECT_EQ(evaluate_adapter().scores, run.scores);
  EXPECT_EQ(logits(""), logits("bf16"));
  EXPECT_NE(logits(""), logits("f32"));
  asked.precision = "bf61";
  EXPECT_THAT(error_of([&] { evaluate(asked, builtin_registry()); }),
              HasSubstr("did you mean 'bf16'"));
}

TEST_F(AdapterFolder, WritesPredictionsInTheOrderOfTheData) {
  train(settings());
  EvaluationRequest wanted = request();
  wanted.predictions = folder / "predictions.tsv";
  evaluate(wanted, builtin_registry());
  const std::string text = read_text(wanted.predictions);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 18);
}

TEST_F(AdapterFolder, HoldsTrainedNormsToo) {
  RunSettings wanted = settings();
  wanted.values["train"] = "norms";
  const RunResult run = train(wanted);
  EXPECT_EQ(run.parameters.head, 66U + 5 * 2 * 32);
  EXPECT_EQ(evaluate_adapter().scores, run.scores);
  merge_adapter();
  EXPECT_EQ(evaluate_merged().scores, run.scores);
}

TEST_F(AdapterFolder, HoldsEveryBiasOfBitfitAndMergesThem) {
  RunSettings wanted = settings();
  wanted.values["method"] = "bitfit";
  wanted.values.erase("rank");
  wanted.values["targets"] = "all";
  wanted.values["epochs"] = "6";
  const RunResult run = train(wanted);
  EXPECT_EQ(run.parameters.head, 66U + 5 * 32);
  EXPECT_EQ(evaluate_adapter().scores, run.scores);
  merge_adapter();
  EXPECT_EQ(evaluate_merged().scores, run.scores);
  const WeightFolder before(folder / "model"), after(folder / "merged");
  for (const char* changed :
       {"bert.encoder.layer.0.intermediate.dense.bias", "bert.embeddings.LayerNorm.bias"})
    EXPECT_NE(before.read<float>(changed), after.read<float>(changed));
  for (const char* kept :
       {"bert.encoder.layer.0.intermediate.dense.weight", "bert.embeddings.LayerNorm.weight"})
    EXPECT_EQ(before.read<float>(kept), after.read<float>(kept));
}

TEST_F(AdapterFolder, MergesIntoAPlainModelWithTheSameScores) {
  RunSettings wanted = settings();
  wanted.values["epochs"] = "6";
  const RunResult run = train(wanted);
  const MergeResult merged = merge_adapter();
  EXPECT_EQ(merged.sites, 4U);
  EXPECT_EQ(evaluate_merged().scores, run.scores);

  const WeightFolder before(folder / "model"), after(folder / "merged");
  EXPECT_EQ(before.names(), after.names());
  const std::string key = "bert.encoder.layer.0.attention.self.key.weight";
  const std::string query = "bert.encoder.layer.0.attention.self.query.weight";
  EXPECT_EQ(before.read<float>(key), after.read<float>(key));
  EXPECT_NE(before.read<float>(query), after.read<float>(query));

  const auto configuration = nlohmann::json::parse(read_text(folder / "merged/config.json"));
  EXPECT_EQ(configuration.at("num_labels"), 2);
  EXPECT_EQ(configuration.at("id2label").size(), 2U);
  EXPECT_EQ(configuration.at("problem_type"), "single_label_classification");
  EXPECT_EQ(configuration.at("architectures").at(0), "BertForSequenceClassification");
  EXPECT_TRUE(fs::exists(folder / "merged/vocab.txt"));
}

TEST_F(AdapterFolder, MergesACheckpointWithoutHeadUnderTheFullNames) {
  // The names of an encoder alone have no "bert." in front.
  const fs::path file = folder / "model/model.safetensors";
  {
    const SafetensorsFile original(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert/model.safetensors");
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : original.entries()) {
      if (!entry.name.starts_with("bert.")) continue;
      list.push_back({entry.name.substr(5), entry.type, entry.shape, original.bytes(entry)});
    }
    write_safetensors(file, list);
  }
  const RunResult run = train(settings());
  merge_adapter();
  const WeightFolder merged(folder / "merged");
  EXPECT_NE(merged.find("classifier.weight"), nullptr);
  for (const std::string& name : merged.names()) {
    EXPECT_TRUE(name.starts_with("bert.") || name.starts_with("classifier.")) << name;
  }
  EXPECT_EQ(evaluate_merged().scores, run.scores);
}

TEST_F(AdapterFolder, MergesAPoolerThatTheCheckpointLacksWithTheRest) {
  const SafetensorsFile original(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert/model.safetensors");
  std::vector<TensorToWrite> list;
  for (const TensorEntry& entry : original.entries())
    if (entry.name.find("pooler") == std::string::npos)
      list.push_back({entry.name, entry.type, entry.shape, original.bytes(entry)});
  write_safetensors(folder / "model/model.safetensors", list);
  const RunResult run = train(settings());
  merge_adapter();
  EXPECT_NE(WeightFolder(folder / "merged").find("bert.pooler.dense.weight"), nullptr);
  EXPECT_EQ(evaluate_merged().scores, run.scores);
}

TEST_F(AdapterFolder, ScoresTheExamplesThatTheRunScored) {
  RunSettings wanted = settings();
  wanted.values["score-on"] = "held-out";
  EXPECT_THAT(error_of([&] { train(wanted); }), HasSubstr("cola has no such examples"));
}

TEST_F(AdapterFolder, RefusesToMergeIntoAFolderThatIsNotEmpty) {
  train(settings());
  fs::create_directories(folder / "merged");
  std::ofstream(folder / "merged/note") << "mine";
  EXPECT_THAT(error_of([&] { merge_adapter(); }), HasSubstr("not empty"));
  EXPECT_EQ(read_text(folder / "merged/note"), "mine");
  fs::remove(folder / "merged/note");
  EXPECT_EQ(merge_adapter().sites, 4U);
}

TEST_F(AdapterFolder, RefusesToMergeWhatIsNoWeightUpdate) {
  const Registry registry = builtin_registry();
  train(settings("loretta_adp"));
  EXPECT_THAT(error_of([&] { merge_adapter(); }), HasSubstr("loretta_adp"));
  for (const auto& entry : fs::directory_iterator(folder)) {
    EXPECT_THAT(entry.path().filename().string(), testing::Not(HasSubstr("merged")));
  }
}

TEST_F(AdapterFolder, NeedsAClassifierFromSomewhere) {
  const fs::path file = folder / "model/model.safetensors";
  {
    const SafetensorsFile original(fs::path(RANKFOLD_GOLDEN_DIR) / "models/bert/model.safetensors");
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : original.entries()) {
      if (entry.name.starts_with("classifier.")) continue;
      list.push_back({entry.name, entry.type, entry.shape, original.bytes(entry)});
    }
    write_safetensors(file, list);
  }
  EvaluationRequest wanted = request();
  wanted.adapter.clear();
  wanted.task = "cola";
  EXPECT_THAT(error_of([&] { evaluate(wanted, builtin_registry()); }), HasSubstr("no classifier"));
}

TEST_F(AdapterFolder, RefusesAnotherBaseModel) {
  train(settings());
  const fs::path file = folder / "model/model.safetensors";
  std::string bytes = read_text(file);
  // The first value of the first tensor.
  bytes[8 + static_cast<unsigned char>(bytes[0]) + 256 * static_cast<unsigned char>(bytes[1])] ^= 1;
  write_atomically(file, bytes);
  EXPECT_THAT(load_error(), HasSubstr("fingerprint"));
}

TEST_F(AdapterFolder, NamesATruncatedFile) {
  train(settings());
  const std::string bytes = read_text(tensors());
  for (const std::size_t size :
       {bytes.size() - 1, bytes.size() / 2, std::size_t{100}, std::size_t{4}}) {
    write_atomically(tensors(), std::string_view(bytes).substr(0, size));
    EXPECT_THAT(load_error(), HasSubstr("adapter_model.safetensors")) << size;
  }
  fs::remove(tensors());
  EXPECT_THAT(load_error(), HasSubstr("adapter_model.safetensors"));
}

TEST_F(AdapterFolder, NamesATensorThatIsMissingUnknownMisshapenOrNotFinite) {
  train(settings());
  const std::string original = read_text(tensors());
  using List = std::vector<TensorToWrite>;
  using Values = std::vector<std::vector<float>>;
  const auto changed_error = [&](auto change) {
    write_atomically(tensors(), original);
    rewrite(change);
    return load_error();
  };
  const auto position = [](const List& list, const std::string& name) {
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].name == name) return i;
    }
    throw Error("no tensor {}", name);
  };
  const std::string name = "A.bert.encoder.layer.1.attention.self.query";
  EXPECT_THAT(changed_error([&](List& list, Values&) { list[position(list, name)].name = "C"; }),
              HasSubstr("'" + name + "' is missing"));
  EXPECT_THAT(changed_error([&](List& list, Values&) {
                list.push_back(list.front());
                list.back().name = "stranger";
              }),
              HasSubstr("'stranger' is unknown"));
  EXPECT_THAT(changed_error([&](List& list, Values&) {
                list[position(list, name)].shape = {32, 2};
              }),
              HasSubstr("'" + name + "' is F32 [32, 2]; expected F32 [2, 32]"));
  EXPECT_THAT(changed_error([&](List& list, Values& values) {
                values[position(list, name)][5] = std::numeric_limits<float>::infinity();
              }),
              HasSubstr("'" + name + "' holds inf at position 5"));
}

TEST_F(AdapterFolder, NamesWhatIsWrongWithItsConfiguration) {
  train(settings());
  const fs::path file = folder / "run/adapter/adapter_config.json";
  const auto document = nlohmann::json::parse(read_text(file));
  const auto error_with = [&](const std::string& key, const nlohmann::json& value) {
    auto changed = document;
    changed[key] = value;
    write_atomically(file, changed.dump());
    return load_error();
  };
  EXPECT_THAT(error_with("method", "lorra"), HasSubstr("did you mean"));
  EXPECT_THAT(error_with("method", 3), HasSubstr(file.string()));
  EXPECT_THAT(error_with("format", "peft"), HasSubstr("an adapter folder that rankfold wrote"));
  EXPECT_THAT(error_with("rank", "4"), HasSubstr("expected F32 [32, 4]"));
  EXPECT_THAT(error_with("rank", "1000000"), HasSubstr("adapter_model.safetensors holds"));
  EXPECT_THAT(error_with("scale", 3), HasSubstr("the key 'scale' is 3; rankfold does not know it"));
  EXPECT_THAT(error_with("method", "my-plug-in"), HasSubstr("give --plugin FILE"));
  EXPECT_THAT(error_with("layers", "0"), HasSubstr("is unknown"));
  EXPECT_THAT(error_with("targets", "x"), HasSubstr(file.string()));
  EXPECT_EQ(error_with("labels", -1),
            file.string() + ": labels is -1; expected a whole number, 0 or more");
  EXPECT_EQ(error_with("method", 3), file.string() + ": method is 3; expected a text");
  EXPECT_THAT(error_with("score_on", "test"), HasSubstr("score_on is \"test\"; expected dev"));
  EXPECT_THAT(error_with("precision", "f16"), HasSubstr("precision is \"f16\"; expected f32 or"));
  EXPECT_THAT(error_with("options", {{"rslora", true}}), HasSubstr("options.rslora is true"));
  for (const char* text : {"[1, 2", "[1, 2]", ""}) {
    write_atomically(file, text);
    EXPECT_THAT(load_error(), testing::AnyOf(HasSubstr(file.string() + ": is not valid JSON"),
                                             HasSubstr("[1,2], expected an object")));
  }
}

TEST_F(AdapterFolder, GivesMissingKeysTheirDefaultOrNamesThem) {
  RunSettings wanted = settings();
  wanted.values["max-length"] = "64";
  const RunResult run = train(wanted);
  const fs::path file = folder / "run/adapter/adapter_config.json";
  const auto document = nlohmann::json::parse(read_text(file));
  auto changed = document;
  for (const char* key :
       {"score_on", "precision", "batch", "seed", "train", "layers", "options", "alpha"})
    changed.erase(key);
  write_atomically(file, changed.dump());
  EXPECT_EQ(evaluate_adapter().scores, run.scores);
  for (const char* key : {"format", "version", "method", "rank", "targets", "task", "labels",
                          "regression", "model", "fingerprint"}) {
    changed = document;
    changed.erase(key);
    write_atomically(file, changed.dump());
    EXPECT_THAT(load_error(), HasSubstr(file.string() + ": " + key + " is missing; expected"));
  }
}

TEST_F(AdapterFolder, IsEvaluatedOnFoldersThatExistWithWordsThatAreKnown) {
  train(settings());
  EvaluationRequest wanted = request();
  wanted.score_on = "devv";
  EXPECT_THAT(error_of([&] { evaluate(wanted, builtin_registry()); }),
              HasSubstr("unknown score-on 'devv'; did you mean 'dev'"));
  wanted = request();
  wanted.model = "nowhere";
  EXPECT_THAT(error_of([&] { evaluate(wanted, builtin_registry()); }),
              HasSubstr("--model nowhere: found no such folder"));
  wanted = request();
  wanted.data = "nowhere";
  EXPECT_THAT(error_of([&] { evaluate(wanted, builtin_registry()); }),
              HasSubstr("--data nowhere: found no such folder"));
}

}  // namespace
}  // namespace rankfold
