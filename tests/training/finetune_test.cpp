#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/device/bfloat16_weight.h"
#include "decompositions/registry.h"
#include "experiments/runs/run_result.h"
#include "experiments/training/trainer.h"
#include "sanitized.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Finetune : public Workplace {
 protected:
  RunResult run(const RunSettings& settings, const std::string& out,
                const FinetuneOptions& options = {}) const {
    return finetune(settings, folder / out, builtin_registry(), options);
  }
  std::string error(const RunSettings& settings, const std::string& out) const {
    return error_of([&] { run(settings, out); });
  }
};

fs::path event_file(const fs::path& folder) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) {
      EXPECT_TRUE(found.empty()) << "two event files";
      found = entry.path();
    }
  }
  return found;
}

TEST_F(Finetune, LearnsAndTellsWhatItDid) {
  RunSettings wanted = settings();
  wanted.values["epochs"] = "12";
  const RunResult result = run(wanted, "out");
  EXPECT_EQ(result.status, "done");
  EXPECT_EQ(result.exit_status(), 0);
  ASSERT_EQ(result.epochs.size(), 12U);
  EXPECT_LT(result.epochs.back().loss, 0.8 * result.epochs.front().loss);
  EXPECT_EQ(result.scores, result.epochs.back().scores);
  EXPECT_TRUE(result.scores.contains("matthews_correlation"));
  // q and v of two layers of 32: B [32, 2] and A [2, 32] each; classifier 2 x 32 and bias.
  EXPECT_EQ(result.parameters.adapter, 4U * 2 * 64);
  EXPECT_EQ(result.parameters.head, 66U);
  EXPECT_EQ(result.parameters.trainable, 578U);
  EXPECT_GT(result.parameters.total, result.parameters.trainable);
  EXPECT_GT(result.tokens_per_second, result.examples_per_second);
  EXPECT_GT(result.peak_memory_mib, 1);
  EXPECT_TRUE(fs::exists(folder / "out/adapter/adapter_config.json"));

  const RunResult read = read_run(folder / "out/run.json");
  EXPECT_EQ(read.settings, result.settings);
  EXPECT_EQ(read.scores, result.scores);
  EXPECT_EQ(read.parameters.total, result.parameters.total);
}

TEST_F(Finetune, WritesTheTagsOfHuggingFace) {
  const RunResult result = run(settings(), "out");
  const ScalarLog log = read_scalars(event_file(folder / "out"));
  std::map<std::string, std::vector<ScalarEvent>> by_tag;
  for (const ScalarEvent& event : log.events) by_tag[event.tag].push_back(event);
  ASSERT_EQ(by_tag["eval/matthews_correlation"].size(), 2U);
  EXPECT_EQ(by_tag["eval/matthews_correlation"][1].step, 10);
  EXPECT_NEAR(by_tag["eval/matthews_correlation"][1].value,
              result.scores.at("matthews_correlation"), 1e-6);
  ASSERT_EQ(by_tag["train/loss"].size(), 2U);
  EXPECT_EQ(by_tag["train/epoch"][0].value, 1);
  EXPECT_EQ(by_tag["train/epoch"][1].value, 2);
  EXPECT_EQ(by_tag["train/learning_rate"].size(), 2U);
  EXPECT_EQ(by_tag["eval/loss"].size(), 2U);
  ASSERT_EQ(by_tag["parameters/adapter"].size(), 1U);
  EXPECT_EQ(by_tag["parameters/adapter"][0].step, 0);
  EXPECT_EQ(by_tag["parameters/adapter"][0].value, result.parameters.adapter);
  EXPECT_EQ(by_tag["parameters/trainable"][0].value, result.parameters.trainable);
}

TEST_F(Finetune, LogsNoScoreBehindADivergence) {
  RunSettings wanted = settings();
  // The first step's rate is 0, the second's far too large.
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {"lr", "1e30"}, {"epochs", "2"}, {"max-train", "8"}, {"warmup", "0.5"}})
    wanted.values[name] = value;
  const RunResult result = run(wanted, "out");
  ASSERT_EQ(result.status, "diverged");
  ASSERT_EQ(result.failed_step, 2U);
  std::vector<double> scores;
  for (const ScalarEvent& event : read_scalars(event_file(folder / "out")).events)
    if (event.tag == "eval/matthews_correlation") scores.push_back(event.value);
  ASSERT_EQ(scores.size(), 2U);
  EXPECT_TRUE(std::isfinite(scores[0]));
  EXPECT_TRUE(std::isnan(scores[1]));
}

TEST_F(Finetune, GivesTheSameBitsForTheSameSettings) {
  const RunResult first = run(settings(), "first"), second = run(settings(), "second");
  EXPECT_EQ(first.scores, second.scores);
  EXPECT_EQ(first.epochs[1].loss, second.epochs[1].loss);
  EXPECT_EQ(read_text(folder / "first/adapter/adapter_model.safetensors"),
            read_text(folder / "second/adapter/adapter_model.safetensors"));
  RunSettings other = settings();
  other.values["seed"] = "43";
  EXPECT_NE(run(other, "third").epochs[1].loss, first.epochs[1].loss);
}

TEST_F(Finetune, GivesTheSameBitsWithSeveralThreads) {
  RunSettings wanted = settings();
  wanted.values["threads"] = "2";
  EXPECT_EQ(run(wanted, "first").epochs[1].loss, run(wanted, "second").epochs[1].loss);
  EXPECT_EQ(read_text(folder / "first/adapter/adapter_model.safetensors"),
            read_text(folder / "second/adapter/adapter_model.safetensors"));
}

TEST_F(Finetune, TrainsOnlyTheHeadWithoutAMethod) {
  const RunResult result = run(settings("none", ""), "out");
  EXPECT_EQ(result.status, "done");
  EXPECT_EQ(result.parameters.adapter, 0U);
  EXPECT_EQ(result.parameters.trainable, 66U);
}

TEST_F(Finetune, TrainsEveryBuiltInMethod) {
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods()) {
    RunSettings wanted = settings(method.name, method.has_rank ? "2" : "");
    wanted.values["epochs"] = "8";
    wanted.values["max-train"] = "8";
    wanted.values["dropout"] = "0";
    const RunResult result = run(wanted, method.name);
    EXPECT_EQ(result.status, "done") << method.name;
    EXPECT_LT(result.epochs.back().loss, result.epochs.front().loss) << method.name;
    EXPECT_EQ(result.parameters.adapter > 0, method.name != "none") << method.name;
  }
}

TEST_F(Finetune, LeavesAFinishedRunAloneAndRunsAgainByForce) {
  const RunResult first = run(settings(), "out");
  RunSettings spelled = settings();
  spelled.values["lr"] = "0.010";
  spelled.values["alpha"] = "8";
  const std::string written = read_text(folder / "out/run.json");
  const RunResult again = run(spelled, "out");
  EXPECT_TRUE(again.skipped);
  EXPECT_EQ(again.exit_status(), 0);
  EXPECT_EQ(again.scores, first.scores);
  EXPECT_EQ(read_text(folder / "out/run.json"), written);

  FinetuneOptions force;
  force.force = true;
  EXPECT_FALSE(run(settings(), "out", force).skipped);
  EXPECT_FALSE(event_file(folder / "out").empty());
}

TEST_F(Finetune, RefusesAFolderWithAFinishedRunOfOtherSettings) {
  run(settings(), "out");
  RunSettings other = settings();
  other.values["lr"] = "2e-3";
  EXPECT_THROW(run(other, "out"), UsageError);
  EXPECT_THAT(error(other, "out"), HasSubstr("lr is 0.01 there and 2e-3 here"));
  EXPECT_THAT(error(other, "out"), HasSubstr((folder / "out/run.json").string()));
}

TEST_F(Finetune, StopsADivergedRunWithoutAScore) {
  for (const char* rate : {"1e9", "1e38"}) {
    RunSettings wanted = settings();
    wanted.values["lr"] = rate;
    const RunResult result = run(wanted, "out");
    EXPECT_EQ(result.status, "diverged") << rate;
    EXPECT_EQ(result.exit_status(), 1);
    EXPECT_GT(result.failed_step, 0U);
    EXPECT_TRUE(result.scores.empty());
    const RunResult read = read_run(folder / "out/run.json");
    EXPECT_EQ(read.status, "diverged");
    EXPECT_EQ(read.failed_step, result.failed_step);
    EXPECT_THAT(read.error, HasSubstr("diverged at step"));
    EXPECT_FALSE(fs::exists(folder / "out/adapter/adapter_config.json"));
  }
  // A run that is not done is tried again, even with other settings.
  EXPECT_EQ(run(settings(), "out").status, "done");
}

TEST_F(Finetune, FindsADivergenceInItsLastStep) {
  for (const char* method : {"lora", "none"}) {
    RunSettings wanted = settings(method, std::string_view(method) == "none" ? "" : "2");
    for (const auto& [name, value] : std::map<std::string, std::string>{
             {"lr", "1e30"}, {"epochs", "1"}, {"max-train", "8"}, {"warmup", "0"}})
      wanted.values[name] = value;
    const RunResult result = run(wanted, method);
    EXPECT_EQ(result.status, "diverged") << method;
    EXPECT_EQ(result.failed_step, 1U);
    EXPECT_THAT(result.error, HasSubstr("the loss on the scored examples is"));
    EXPECT_TRUE(result.scores.empty());
    EXPECT_FALSE(fs::exists(folder / method / "adapter"));
    wanted.values["lr"] = "1e39";  // beyond what a float holds
    EXPECT_THAT(run(wanted, method).error, HasSubstr("is not finite"));
  }
}

TEST_F(Finetune, RefusesTrainedPartsThatDoNotGoTogether) {
  for (const char* parts : {"head,tt-head", "head,output", "norms,norms"}) {
    RunSettings wanted = settings();
    wanted.values["train"] = parts;
    EXPECT_THROW(run(wanted, "out"), UsageError) << parts;
    EXPECT_THAT(error(wanted, "out"), HasSubstr("--train " + std::string(parts)));
    EXPECT_FALSE(fs::exists(folder / "out"));
  }
}

TEST_F(Finetune, GivesTheTensorTrainHeadOfAMethodWithoutARankRankFive) {
  RunSettings wanted = settings("none", "");
  wanted.values["train"] = "tt-head";
  const std::size_t without = run(wanted, "none").parameters.head;
  wanted = settings("lora", "5");
  wanted.values["train"] = "tt-head";
  EXPECT_EQ(run(wanted, "lora").parameters.head, without);
}

TEST_F(Finetune, SaysThatAFolderIsMissingAndWritesNothing) {
  const auto refusal = [&](const char* name, const std::string& value) {
    RunSettings wanted = settings();
    wanted.values[name] = value;
    EXPECT_THROW(run(wanted, "out"), Error);
    EXPECT_FALSE(fs::exists(folder / "out"));
    try {
      run(wanted, "out");
    } catch (const Error& failure) {
      EXPECT_EQ(failure.exit_status(), 1);
    }
    return error(wanted, "out");
  };
  EXPECT_THAT(refusal("model", "nowhere"), HasSubstr("--model nowhere: found no such folder"));
  EXPECT_THAT(refusal("model", "roberta-base"), HasSubstr("built-in shape, which has no weights"));
  EXPECT_THAT(refusal("data", "nowhere"), HasSubstr("--data nowhere: found no such folder"));
}

TEST_F(Finetune, TrainsWithProductsInBfloat16) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  RunSettings wanted = settings();
  wanted.values["epochs"] = "12";
  const RunResult full = run(wanted, "f32");
  wanted.values["precision"] = "bf16";
  const RunResult rounded = run(wanted, "bf16"), again = run(wanted, "again");
  EXPECT_LT(rounded.epochs.back().loss, 0.8 * rounded.epochs.front().loss);
  EXPECT_NE(rounded.epochs[0].loss, full.epochs[0].loss);
  EXPECT_NEAR(rounded.epochs[0].loss, full.epochs[0].loss, 0.02);
  EXPECT_EQ(rounded.epochs.back().loss, again.epochs.back().loss);
  const auto precision = [&](const char* out) {
    return nlohmann::json::parse(read_text(folder / out / "run.json"))["settings"]["precision"];
  };
  EXPECT_EQ(precision("f32"), "f32");
  EXPECT_EQ(precision("bf16"), "bf16");
  EXPECT_THAT(error(wanted, "f32"), HasSubstr("precision is f32 there and bf16 here"));
}

TEST_F(Finetune, TellsTheDropoutInEffectAndWhatTheMethodChose) {
  RunSettings wanted = settings("loretta_rep");
  wanted.values["epochs"] = "1";
  std::vector<std::string> messages;
  FinetuneOptions options;
  options.message = [&](const std::string& line) { messages.push_back(line); };
  const RunResult given = run(wanted, "given", options);
  EXPECT_EQ(given.dropout, (std::map<std::string, double>{
                               {"attention", 0.1}, {"classifier", 0.1}, {"hidden", 0.1}}));
  ASSERT_FALSE(given.notes.empty());
  for (const std::string& note : given.notes)
    EXPECT_EQ(std::count(messages.begin(), messages.end(), note), 1) << note;

  auto config = nlohmann::json::parse(read_text(folder / "model/config.json"));
  config["hidden_dropout_prob"] = 0.25;
  config["attention_probs_dropout_prob"] = 0.0;
  write_atomically(folder / "model/config.json", config.dump());
  wanted.values.erase("dropout");
  run(wanted, "config");
  const RunResult read = read_run(folder / "config/run.json");
  EXPECT_EQ(read.dropout.at("hidden"), 0.25);
  EXPECT_EQ(read.dropout.at("attention"), 0);
  EXPECT_EQ(read.notes, given.notes);
  EXPECT_FALSE(read.settings.values.contains("dropout"));
}

TEST_F(Finetune, KnowsAFinishedRunOfAnOlderVersionAndAnotherPath) {
  run(settings(), "out");
  auto document = nlohmann::json::parse(read_text(folder / "out/run.json"));
  document["settings"].erase("score-on");
  document["settings"]["model"] = (folder / "data/../model/").string();
  document.erase("resolved");
  write_atomically(folder / "out/run.json", document.dump());
  EXPECT_TRUE(run(settings(), "out").skipped);
  RunSettings other = settings();
  other.values["score-on"] = "held-out";
  EXPECT_THAT(error(other, "out"), HasSubstr("score-on is dev there and held-out here"));
}

TEST_F(Finetune, WritesAFailedRunWithItsReason) {
  fs::remove(folder / "data/dev.tsv");
  EXPECT_THAT(error(settings(), "out"), HasSubstr("dev.tsv"));
  const RunResult read = read_run(folder / "out/run.json");
  EXPECT_EQ(read.status, "failed");
  EXPECT_THAT(read.error, HasSubstr("dev.tsv"));
}

TEST_F(Finetune, NamesTheLineOfATextThatTheModelCannotReadBeforeItTrains) {
  std::ofstream(folder / "model/vocab.txt", std::ios::app) << "w101\n";
  std::ofstream(folder / "data/dev.tsv", std::ios::app) << "s\t1\t\tw7 w101\n";
  EXPECT_EQ(error(settings(), "out"),
            (folder / "data/dev.tsv").string() + ":18: " + (folder / "model").string() +
                ": token id 101, expected 0 to 100 (does the tokenizer belong to this model?)");
  EXPECT_EQ(read_run(folder / "out/run.json").status, "failed");
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(folder / "out")) ++files;
  EXPECT_EQ(files, 1u);
}

TEST_F(Finetune, LeavesNoFileBehindAWrongRequest) {
  RunSettings wanted = settings("lora", "4000");
  EXPECT_THROW(run(wanted, "out"), UsageError);
  EXPECT_FALSE(fs::exists(folder / "out"));
  wanted = settings();
  wanted.values["max-length"] = "65";
  EXPECT_THAT(error(wanted, "out"), HasSubstr("--max-length is 65"));
  EXPECT_THAT(error(settings("lorra"), "out"), HasSubstr("did you mean"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

TEST_F(Finetune, NamesAFolderThatCannotBeWrittenBeforeItLoadsAnything) {
  std::ofstream(folder / "file") << "x";
  fs::remove(folder / "model/config.json");
  EXPECT_THAT(error(settings(), "file/out"), HasSubstr((folder / "file/out").string()));
}

TEST_F(Finetune, LeavesNoRunWhenItIsStopped) {
  FinetuneOptions options;
  std::size_t steps = 0;
  options.progress = [&](const TrainingProgress& progress) { steps = progress.step; };
  options.stop_requested = [&] { return steps == 3; };
  EXPECT_THAT(error_of([&] { run(settings(), "out", options); }),
              HasSubstr("stopped before step 4"));
  EXPECT_FALSE(fs::exists(folder / "out/run.json"));
  EXPECT_EQ(run(settings(), "out").epochs[1].loss, run(settings(), "other").epochs[1].loss);
}

TEST_F(Finetune, TellsWhereEveryRowGotOneAnswer) {
  // Rows that are the same cannot be told apart.
  std::ofstream(folder / "data/dev.tsv") << "s\t1\t\tw5\ns\t1\t\tw5\ns\t0\t\tw5\n";
  std::vector<std::string> messages;
  FinetuneOptions options;
  options.message = [&](const std::string& line) { messages.push_back(line); };
  const RunResult result = run(settings(), "out", options);
  EXPECT_TRUE(result.constant_predictions);
  EXPECT_EQ(result.majority_scores, (std::map<std::string, double>{{"matthews_correlation", 0}}));
  EXPECT_THAT(messages.back(), HasSubstr("every scored row got the same class"));
  const RunResult read = read_run(folder / "out/run.json");
  EXPECT_TRUE(read.constant_predictions);
  EXPECT_EQ(read.majority_scores, result.majority_scores);
  std::map<std::string, double> last;
  for (const ScalarEvent& event : read_scalars(event_file(folder / "out")).events)
    last[event.tag] = event.value;
  EXPECT_EQ(last.at("scored/constant_predictions"), 1);
  EXPECT_EQ(last.at("scored/majority_score"), 0);
}

TEST_F(Finetune, TellsNothingOfTheKindOtherwise) {
  const RunResult result = run(settings(), "out");
  const auto document = nlohmann::json::parse(read_text(folder / "out/run.json"));
  EXPECT_EQ(document.at("constant_predictions"), result.constant_predictions);
  RunSettings wild = settings();
  wild.values["lr"] = "1e9";
  run(wild, "wild");
  const auto diverged = nlohmann::json::parse(read_text(folder / "wild/run.json"));
  EXPECT_FALSE(diverged.contains("constant_predictions"));
}

TEST_F(Finetune, SaysHowMuchTimeIsLeftAfterAnEpoch) {
  std::vector<std::string> epochs;
  FinetuneOptions options;
  options.message = [&](const std::string& line) {
    if (line.starts_with("epoch ")) epochs.push_back(line);
  };
  run(settings(), "out", options);
  ASSERT_EQ(epochs.size(), 2U);
  EXPECT_THAT(epochs[0], testing::ContainsRegex("tokens/s, [0-9]+:[0-9][0-9] left$"));
  EXPECT_THAT(epochs[1], testing::EndsWith("tokens/s"));
}

TEST_F(Finetune, RefusesAFolderWhoseNameRunJsonCannotKeep) {
  fs::copy(folder / "model", folder / "m\xff");
  RunSettings wanted = settings();
  wanted.values["model"] = (folder / "m\xff").string();
  EXPECT_THROW(run(wanted, "out"), UsageError);
  EXPECT_THAT(error(wanted, "out"), HasSubstr("is no UTF-8"));
  EXPECT_FALSE(fs::exists(folder / "out"));
  EXPECT_EQ(run(settings(), "o\xff").status, "done");
  EXPECT_TRUE(run(settings(), "o\xff").skipped);
}

TEST_F(Finetune, NamesTheKeyOfARunFileThatIsWrong) {
  run(settings(), "out");
  auto document = nlohmann::json::parse(read_text(folder / "out/run.json"));
  document["epochs"][1]["loss"] = "low";
  write_atomically(folder / "out/run.json", document.dump());
  EXPECT_EQ(error_of([&] { read_run(folder / "out/run.json"); }),
            (folder / "out/run.json").string() +
                ": key 'epochs[1].loss': found a string, expected a number");
}

TEST_F(Finetune, ReadsARunOfVeryManyEpochs) {
  run(settings(), "out");
  auto document = nlohmann::json::parse(read_text(folder / "out/run.json"));
  const nlohmann::json epoch = document["epochs"][0];
  const std::size_t many = sanitized ? 15'000 : 150'000;
  document["epochs"] = std::vector<nlohmann::json>(many, epoch);
  write_atomically(folder / "out/run.json", document.dump());
  EXPECT_EQ(read_run(folder / "out/run.json").epochs.size(), many);
}

}  // namespace
}  // namespace rankfold
