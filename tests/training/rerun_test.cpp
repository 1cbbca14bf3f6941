#include "experiments/training/rerun.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "decompositions/registry.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Reruns : public Workplace {
 protected:
  RunResult run(const RunSettings& settings) const {
    return finetune(settings, folder / "run", builtin_registry());
  }
  Rerun again(bool replay = false, const fs::path& out = {}) const {
    return rerun(folder / "run", out, replay, builtin_registry());
  }
};

TEST_F(Reruns, GiveTheSameBitsAndLeaveNothing) {
  const RunResult first = run(settings());
  const Rerun found = again();
  EXPECT_TRUE(found.same());
  EXPECT_GT(found.tensors, 4U);
  EXPECT_EQ(found.repeated_scores, first.scores);
  EXPECT_THAT(found.notes, testing::IsEmpty());
  EXPECT_THAT(error_of([&] { again(true); }), HasSubstr("has no zero-order.log"));
  EXPECT_TRUE(again(false, folder / "kept").same());
  EXPECT_TRUE(fs::exists(folder / "kept/run.json"));
}

TEST_F(Reruns, TakeARunWhoseSettingsAnOlderVersionDidNotRefuse) {
  RunSettings wanted = settings();
  wanted.values["optimizer"] = "sgd";
  run(wanted);
  nlohmann::ordered_json written =
      nlohmann::ordered_json::parse(read_text(folder / "run/run.json"));
  written["settings"]["beta1"] = 0.8;
  write_atomically(folder / "run/run.json", written.dump());
  EXPECT_TRUE(again().same());
}

TEST_F(Reruns, ReplayAZerothOrderRunUpToTheStepThatItKept) {
  RunSettings wanted = settings();
  wanted.values["optimizer"] = "zo-sgd";
  wanted.values["dropout"] = "0";
  wanted.values["lr"] = "1e-1";
  wanted.values["evaluate-every"] = "2";
  wanted.values["keep"] = "best";
  const RunResult first = run(wanted);
  ASSERT_LT(first.kept_step, first.steps) << "the last step is not the best one";
  std::size_t steps = 0;
  FinetuneOptions options;
  options.progress = [&](const TrainingProgress&) { ++steps; };
  const Rerun found = rerun(folder / "run", folder / "replayed", true, builtin_registry(), options);
  EXPECT_TRUE(found.same());
  EXPECT_EQ(steps, 0U);
  EXPECT_EQ(read_run(folder / "replayed/run.json").forwards, 0U);
  EXPECT_TRUE(again().same());

  const std::string log = read_text(folder / "run/zero-order.log");
  write_atomically(folder / "run/zero-order.log", log.substr(0, log.find("\n0") + 1));
  EXPECT_THAT(error_of([&] { again(true); }), HasSubstr("ends after step 0, expected"));
}

TEST_F(Reruns, NameWhatDiffers) {
  run(settings());
  const fs::path file = folder / "run/adapter/adapter_model.safetensors";
  std::string bytes = read_text(file);
  bytes.back() ^= 1;
  write_atomically(file, bytes);
  const Rerun found = again();
  EXPECT_FALSE(found.same());
  EXPECT_EQ(found.differing.size(), 1U);
  EXPECT_EQ(found.scores, found.repeated_scores);

  write_rows("train.tsv", 41);
  EXPECT_THAT(error_of([&] { again(); }), HasSubstr("the rows to train on have other content"));
}

TEST_F(Reruns, NeedAFinishedRunAndAnotherFolder) {
  EXPECT_THAT(error_of([&] { again(); }), HasSubstr("there is no run.json"));
  RunSettings wanted = settings();
  wanted.values["lr"] = "1e30";
  ASSERT_EQ(run(wanted).status, "diverged");
  EXPECT_THAT(error_of([&] { again(); }), HasSubstr("the run is diverged"));
  finetune(settings(), folder / "other", builtin_registry());
  EXPECT_THAT(
      error_of([&] { rerun(folder / "other", folder / "other", false, builtin_registry()); }),
      HasSubstr("is the run itself"));
}

}  // namespace
}  // namespace rankfold
