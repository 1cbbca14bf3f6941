#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/event_log.h"
#include "core/error.h"
#include "core/files.h"
#include "decompositions/registry.h"
#include "experiments/training/run_result.h"
#include "experiments/training/trainer.h"
#include "workplace.h"

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
    wanted.values["epochs"] = "1";
    wanted.values["max-train"] = "8";
    const RunResult result = run(wanted, method.name);
    EXPECT_EQ(result.status, "done") << method.name;
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

TEST_F(Finetune, WritesAFailedRunWithItsReason) {
  fs::remove(folder / "data/dev.tsv");
  EXPECT_THAT(error(settings(), "out"), HasSubstr("dev.tsv"));
  const RunResult read = read_run(folder / "out/run.json");
  EXPECT_EQ(read.status, "failed");
  EXPECT_THAT(read.error, HasSubstr("dev.tsv"));
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
  RunSettings wanted = settings();
  wanted.values["model"] = (folder / "no-such-model").string();
  EXPECT_THAT(error(wanted, "file/out"), HasSubstr((folder / "file/out").string()));
}

TEST_F(Finetune, LeavesNoRunWhenItIsStopped) {
  FinetuneOptions options;
  int steps = 0;
  options.stop_requested = [&] { return ++steps > 3; };
  EXPECT_THAT(error_of([&] { run(settings(), "out", options); }),
              HasSubstr("stopped before step 4"));
  EXPECT_FALSE(fs::exists(folder / "out/run.json"));
  EXPECT_EQ(run(settings(), "out").epochs[1].loss, run(settings(), "other").epochs[1].loss);
}

TEST_F(Finetune, TakesABrokenRunFileForNone) {
  fs::create_directories(folder / "out");
  std::ofstream(folder / "out/run.json") << "{\"status\": \"done\", \"sett";
  EXPECT_EQ(run(settings(), "out").status, "done");
}

}  // namespace
}  // namespace rankfold
