#include "experiments/training/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

#include <fmt/format.h>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/training/trainer.h"
#include "experiments/training/zero_order_log.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Checkpoints : public Workplace {
 protected:
  using Settings = std::map<std::string, std::string>;

  RunSettings wanted(const Settings& values) const {
    RunSettings result = settings();
    result.values["epochs"] = "3";
    for (const auto& [name, value] : values) result.values[name] = value;
    return result;
  }
  /// Runs until an accident before step `last`; its end where that is 0.
  std::string run(const Settings& values, const std::string& out, std::size_t last = 0,
                  bool force = false) {
    FinetuneOptions options;
    options.force = force;
    options.message = [this](const std::string& line) { told += line + '\n'; };
    options.progress = [last](const TrainingProgress& progress) {
      if (progress.step == last) throw Error("accident");
    };
    return error_of([&] { finetune(wanted(values), folder / out, builtin_registry(), options); });
  }
  fs::path file(const std::string& out) const { return folder / out / "checkpoint.safetensors"; }

  /// run.json without what depends on the clock.
  std::string result(const std::string& out) const {
    nlohmann::json run = nlohmann::json::parse(read_text(folder / out / "run.json"));
    for (const char* name :
         {"tokens_per_second", "examples_per_second", "train_seconds", "peak_memory_mib"})
      run.erase(name);
    for (nlohmann::json& epoch : run["epochs"]) epoch.erase("seconds");
    for (const char* name : {"checkpoint-every", "checkpoint-steps"}) run["settings"].erase(name);
    return run.dump(1);
  }
  std::vector<std::string> scalars(const std::string& out) const {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder / out))
      if (entry.path().filename().native().starts_with("events"))
        for (const ScalarEvent& event : read_scalars(entry.path()).events)
          if (!event.tag.starts_with("train/train_"))
            all.push_back(fmt::format("{} {} {}", event.step, event.tag, event.value));
    return all;
  }
  std::string adapter(const std::string& out) const {
    return read_text(folder / out / "adapter/adapter_model.safetensors");
  }
  void expect_same(const std::string& found, const std::string& expected) const {
    EXPECT_EQ(result(found), result(expected));
    EXPECT_EQ(scalars(found), scalars(expected));
    EXPECT_EQ(adapter(found), adapter(expected));
  }

  std::string told;
};

TEST_F(Checkpoints, GiveTheBitsOfARunThatWasNotInterrupted) {
  const Settings ways[] = {
      {},
      {{"optimizer", "sgd"}, {"accumulate", "2"}, {"adapter-dropout", "0.2"}},
      {{"keep", "best"}, {"evaluate-every", "2"}, {"lr", "0.2"}, {"schedule", "constant"}},
      {{"optimizer", "zo-adam"}, {"dropout", "0"}, {"zo-samples", "2"}, {"clip", "1"}},
      {{"optimizer", "zo-sgd"}, {"dropout", "0"}, {"keep", "best"}, {"keep-by", "loss"}},
      {{"method", "dlrt"}, {"rank", "4"}, {"keep", "best"}, {"evaluate-every", "2"}},
      {{"method", "full"}, {"rank", ""}, {"targets", "everything"}, {"lr", "1e-3"}},
      {{"train", "norms"}, {"patience", "3"}, {"evaluate-every", "2"}, {"steps", "13"}}};
  int number = 0;
  for (Settings values : ways) {
    SCOPED_TRACE(number);
    const std::string plain = fmt::format("plain{}", number), out = fmt::format("out{}", number++);
    ASSERT_EQ(run(values, plain), "");
    values["checkpoint-steps"] = "3";
    EXPECT_THAT(run(values, out, 5), HasSubstr("accident"));
    EXPECT_TRUE(fs::exists(file(out)));
    // The next one has no checkpoint of its own to show for it.
    EXPECT_THAT(run(values, out, 5), HasSubstr("accident"));
    EXPECT_THAT(told, HasSubstr("goes on from the checkpoint behind step 3 of"));
    told.clear();
    if (!values.contains("accumulate")) {
      EXPECT_THAT(run(values, out, 8), HasSubstr("accident"));
      told.clear();
    }
    EXPECT_EQ(run(values, out), "");
    EXPECT_THAT(told, HasSubstr("goes on from the checkpoint behind step "));
    EXPECT_FALSE(fs::exists(file(out)));
    expect_same(out, plain);
    if (values.contains("optimizer") && values["optimizer"].starts_with("zo")) {
      EXPECT_EQ(read_text(folder / out / zero_order_log_name),
                read_text(folder / plain / zero_order_log_name));
    }
  }
}

TEST_F(Checkpoints, AreWrittenWhereTheUserStopsARun) {
  FinetuneOptions options;
  std::size_t steps = 0;
  options.progress = [&](const TrainingProgress& progress) { steps = progress.step; };
  options.stop_requested = [&] { return steps == 7; };
  const RunSettings settings = wanted({{"checkpoint-every", "1000"}});
  EXPECT_THAT(
      error_of([&] { finetune(settings, folder / "out", builtin_registry(), options); }),
      HasSubstr("stopped before step 8 of 15; the same command goes on from its checkpoint"));
  EXPECT_FALSE(fs::exists(folder / "out/run.json"));
  EXPECT_EQ(run({{"checkpoint-every", "1000"}}, "out"), "");
  EXPECT_THAT(told, HasSubstr("behind step 7 of 15"));
  EXPECT_EQ(run({}, "plain"), "");
  expect_same("out", "plain");
}

TEST_F(Checkpoints, OfAnotherRunAreRefused) {
  EXPECT_THAT(run({{"checkpoint-steps", "3"}}, "out", 5), HasSubstr("accident"));
  const std::string before = read_text(file("out"));
  EXPECT_THAT(run({{"lr", "2e-3"}}, "out"),
              HasSubstr("is the checkpoint of another run (lr is 0.01 there and 2e-3 here)"));
  EXPECT_EQ(read_text(file("out")), before);
  write_rows("train.tsv", 39);
  EXPECT_THAT(
      run({}, "out"),
      HasSubstr("is the checkpoint of another run (the rows to train on have other content"));
  EXPECT_EQ(run({}, "out", 0, true), "");
  EXPECT_THAT(told, HasSubstr("the run starts anew"));
  EXPECT_EQ(run({}, "plain"), "");
  expect_same("out", "plain");
}

TEST_F(Checkpoints, ThatAreDamagedAreToldAndStartedAnew) {
  EXPECT_EQ(run({}, "plain"), "");
  for (const int way : {0, 1, 2}) {
    const std::string out = fmt::format("out{}", way);
    EXPECT_THAT(run({{"checkpoint-steps", "3"}}, out, 5), HasSubstr("accident"));
    std::string bytes = read_text(file(out));
    if (way == 0) bytes.resize(bytes.size() - 100);
    if (way == 1) bytes[bytes.size() - 50] ^= 1;
    if (way == 2) bytes.clear();
    std::ofstream(file(out), std::ios::binary) << bytes;
    told.clear();
    EXPECT_EQ(run({}, out), "");
    EXPECT_THAT(told, HasSubstr("the run starts anew")) << way;
    expect_same(out, "plain");
  }
}

TEST_F(Checkpoints, OutliveAnEventFileThatWasCutWhereItBegan) {
  EXPECT_EQ(run({}, "plain"), "");
  std::string version_record;
  for (const std::size_t left : {0U, 3U, 20U, 40U, 70U}) {
    const std::string out = fmt::format("out{}", left);
    EXPECT_THAT(run({{"checkpoint-steps", "3"}}, out, 5), HasSubstr("accident"));
    for (const auto& entry : fs::directory_iterator(folder / out))
      if (entry.path().filename().native().starts_with("events"))
        fs::resize_file(entry.path(), left);
    told.clear();
    EXPECT_EQ(run({}, out), "") << left;
    EXPECT_THAT(told, HasSubstr("goes on from the checkpoint behind step 3 of"));
    expect_same(out, "plain");
  }
}

TEST_F(Checkpoints, AreNotTakenForAFileOfSomebodyElse) {
  fs::create_directories(folder / "out");
  std::ofstream(file("out")) << "weights of my own";
  EXPECT_THAT(run({}, "out"), HasSubstr("is no checkpoint of a run of rankfold"));
  EXPECT_EQ(read_text(file("out")), "weights of my own");
}

TEST_F(Checkpoints, KeepWhatTheyAreGiven) {
  Checkpoint written;
  written.run.settings = canonical(settings());
  written.run.evaluations = {{3, 0.1 + 0.2, {{"accuracy", 1.0 / 3}}, true}};
  written.position.batch = 5;
  written.position.loss_sum = 0.7 / 3;
  written.state.floats["value/a"] = {1.5f, -2};
  written.state.doubles["x"] = {1.0 / 3};
  written.state.counts["n"] = 7;
  written.log = {{"train/loss", 2.0 / 3, 4}};
  write_checkpoint(folder / "c", written);
  const Checkpoint read = read_checkpoint(folder / "c");
  EXPECT_EQ(read.run.evaluations[0].loss, 0.1 + 0.2);
  EXPECT_EQ(read.run.evaluations[0].scores, written.run.evaluations[0].scores);
  EXPECT_EQ(read.position.batch, 5U);
  EXPECT_EQ(read.position.loss_sum, 0.7 / 3);
  EXPECT_EQ(read.state.floats, written.state.floats);
  EXPECT_EQ(read.state.doubles, written.state.doubles);
  EXPECT_EQ(read.state.counts, written.state.counts);
  EXPECT_EQ(read.log[0].tag, "train/loss");
  EXPECT_EQ(read.log[0].value, 2.0 / 3);
}

}  // namespace
}  // namespace rankfold
