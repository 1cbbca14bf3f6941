// What a sweep meets on a hostile machine: leftovers, strangers and other processes in its folder.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "source_paths.h"
#include "sweep/train_sweep_fixture.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;
using Json = nlohmann::json;

/// Another process that works in a folder, until it is told to stop.
class Stranger {
 public:
  explicit Stranger(const fs::path& folder) {
    fs::create_directories(folder);
    descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT_EQ(::flock(descriptor_, LOCK_EX | LOCK_NB), 0);
  }
  ~Stranger() { leave(); }
  void leave() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_ = -1;
};

/// What somebody writes into a pipe; waits for it.
std::string read_line_of(const fs::path& pipe) {
  char text[8];
  const int descriptor = ::open(pipe.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t size = ::read(descriptor, text, sizeof text);
  ::close(descriptor);
  return std::string(text, size > 0 ? static_cast<std::size_t>(size) : 0);
}

std::vector<std::string> listed_folders(const fs::path& out) {
  std::vector<std::string> folders;
  const Json document = Json::parse(read_text(out / "sweep.json"));
  for (const Json& run : document.at("runs")) folders.push_back(run.at("folder"));
  return folders;
}

TEST_F(TrainSweep, ARunInAFolderInUseGoesLastAndWaits) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1,2\n");
  Stranger stranger(runs[0].folder);
  std::vector<std::string> events;
  TrainSweepOptions options = options_for(runs);
  options.waits = [&](const SweepRun& run) { events.push_back("waits " + name_of(run)); };
  options.ended = [&](const SweepRun& run) {
    events.push_back("ended " + name_of(run));
    stranger.leave();
  };
  EXPECT_TRUE(run_sweep(runs, out_, registry_, options));
  EXPECT_THAT(events, testing::ElementsAre("waits rank=1", "ended rank=2", "ended rank=1"));
  EXPECT_EQ(runs[0].state, RunState::finished);
  EXPECT_EQ(calls_of(runs[0]), 1);
}

TEST_F(TrainSweep, TheResultOfWhoeverWasWaitedForIsNotComputedAgain) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1,2\n");
  Stranger stranger(runs[0].folder);
  TrainSweepOptions options = options_for(runs);
  options.ended = [&](const SweepRun&) {
    fs::copy_file(runs[0].folder / "result", runs[0].folder / "run.json",
                  fs::copy_options::skip_existing);
    stranger.leave();
  };
  EXPECT_TRUE(run_sweep(runs, out_, registry_, options));
  EXPECT_EQ(runs[0].state, RunState::finished);
  EXPECT_EQ(calls_of(runs[0]), 0);
}

TEST_F(TrainSweep, ASweepThatWaitsCanBeStopped) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  const Stranger stranger(runs[0].folder);
  TrainSweepOptions options = options_for(runs);
  options.waits = [](const SweepRun&) { ::kill(::getpid(), SIGTERM); };
  EXPECT_FALSE(run_sweep(runs, out_, registry_, options));
  EXPECT_EQ(runs[0].state, RunState::stopped);
}

TEST_F(TrainSweep, ARunThatItsKilledSweepLeftKeepsItsFolder) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  const fs::path begun = folder_.path / "begun", gate = folder_.path / "gate";
  ASSERT_EQ(::mkfifo(begun.c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
  TrainSweepOptions options = options_for(runs);
  // It does not end with its sweep, as one that is busy may not at once.
  options.program = {
      "/bin/sh", "-c",
      "trap '' TERM; echo > '" + begun.string() + "'; read word < '" + gate.string() + "'", "sh"};
  const pid_t sweep = ::fork();
  if (sweep == 0) {
    run_sweep(runs, out_, registry_, options);
    ::_exit(0);
  }
  EXPECT_EQ(read_line_of(begun), "\n");
  const int way_out = ::open(gate.c_str(), O_WRONLY | O_CLOEXEC);
  ::kill(sweep, SIGKILL);
  ::waitpid(sweep, nullptr, 0);
  // The sweep that goes on meets it, and waits until it is gone.
  std::vector<std::string> events;
  TrainSweepOptions again = options_for(runs);
  again.waits = [&](const SweepRun&) {
    events.emplace_back("waits");
    ::close(way_out);
  };
  again.ended = [&](const SweepRun&) { events.emplace_back("ended"); };
  EXPECT_TRUE(run_sweep(runs, out_, registry_, again));
  EXPECT_THAT(events, testing::ElementsAre("waits", "ended"));
  EXPECT_EQ(runs[0].state, RunState::finished);
}

TEST_F(TrainSweep, PipesAndLoopsAmongResultsKeepNobodyWaiting) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  fs::create_directories(out_ / "other");
  ASSERT_EQ(::mkfifo((out_ / "other" / "run.json").c_str(), 0600), 0);
  fs::create_directories(out_ / "loop");
  fs::create_symlink("run.json", out_ / "loop" / "run.json");
  const SweepPlan plan =
      plan_runs(runs_of(lines_ + "method = lora\nrank = 1\n"), out_, registry_, contents_);
  EXPECT_EQ(plan.runs[0].state, RunState::finished);
  EXPECT_THAT(plan.notes, testing::ElementsAre(HasSubstr("loop/run.json: Too many levels"),
                                               HasSubstr("other/run.json: is a pipe")));
}

TEST_F(TrainSweep, WhatLiesInThePlaceOfARunIsRefusedByName) {
  const fs::path place = out_ / "sst2/tiny/lora/lr=1e-3/rank=1/max-length=32/seed=42";
  const auto refusal = [&] {
    return message_of<Error>([&] { plan("method = lora\nrank = 1\n"); });
  };
  write_atomically(out_ / "sst2", "a file");
  EXPECT_THAT(refusal(), HasSubstr("sst2: lies in the place of a folder of runs"));
  fs::remove(out_ / "sst2");
  write_atomically(place, "a file");
  EXPECT_THAT(refusal(), HasSubstr("seed=42: lies in the place of a folder"));
  fs::remove(place);
  fs::create_directories(place / "run.json");
  EXPECT_THAT(refusal(), HasSubstr("run.json: lies in the place of a run's result"));
  fs::remove(place / "run.json");
  ASSERT_EQ(::mkfifo((place / "run.json").c_str(), 0600), 0);
  EXPECT_THAT(refusal(), HasSubstr("run.json: lies in the place of a run's result"));
}

TEST_F(TrainSweep, ALogThatCannotBeOpenedFailsItsOwnRunOnly) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1,2\n");
  fs::create_directories(runs[0].folder);
  ASSERT_EQ(::mkfifo((runs[0].folder / "log.txt").c_str(), 0600), 0);
  EXPECT_TRUE(run(runs));
  EXPECT_EQ(runs[0].state, RunState::failed);
  EXPECT_THAT(runs[0].reason, HasSubstr("log.txt"));
  EXPECT_EQ(runs[1].state, RunState::finished);
}

TEST_F(TrainSweep, NoFolderOfAReceivedListLeavesTheResults) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  fs::create_directories(out_ / "kept");
  fs::create_directories(folder_.path / "outside");
  Json received = {{"runs", Json::array()}};
  for (const std::string& folder : {std::string("../outside"), std::string("kept/../../outside"),
                                    std::string("/tmp"), (folder_.path / "outside").string(),
                                    std::string("."), std::string(""), std::string("kept")})
    received["runs"].push_back({{"folder", folder}, {"settings", Json::object()}});
  write_atomically(out_ / "sweep.json", received.dump());
  run(runs);
  EXPECT_THAT(listed_folders(out_), testing::ElementsAre("kept", HasSubstr("sst2/tiny")));
}

TEST_F(TrainSweep, AListThatIsDeepOrBrokenIsWrittenAnew) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  fs::create_directories(out_ / "kept");
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  const std::string kept = R"({"folder": "kept", "settings": {"a": "]}\""}})";
  for (const std::string& text :
       {R"({"runs": [{"folder": "x", "deep": )" + deep + "}, " + kept + "]}", deep,
        R"({"runs": [)" + kept + R"(, {"folder": "kept")", R"({"runs": [)" + kept + ", 1e999, null",
        std::string("\0\0", 2), std::string("{\"runs\": [")}) {
    write_atomically(out_ / "sweep.json", text);
    run(runs);
    const std::vector<std::string> folders = listed_folders(out_);
    EXPECT_EQ(folders.size(), text.find("\"kept\"") == text.npos ? 1 : 2) << text.substr(0, 60);
  }
}

TEST_F(TrainSweep, AResultOnOtherContentThanAtTheStartIsAFailure) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1,2\n");
  TrainSweepOptions options = options_for(runs);
  const RunFingerprints then{"xxh64-1", "xxh64-2", "xxh64-3"}, now{"xxh64-4", "xxh64-2", "xxh64-3"};
  for (const SweepRun& planned : runs) {
    RunResult result = read_run(planned.folder / "result");
    result.fingerprints = planned.given.text("rank") == "1" ? then : now;
    write_atomically(planned.folder / "result", to_json_text(result));
  }
  options.content = [&](const RunSettings&) -> const RunFingerprints& { return then; };
  EXPECT_TRUE(run_sweep(runs, out_, registry_, options));
  EXPECT_EQ(runs[0].state, RunState::finished);
  EXPECT_EQ(runs[1].state, RunState::failed);
  EXPECT_THAT(runs[1].reason, testing::AllOf(HasSubstr("model"), HasSubstr("xxh64-4"),
                                             HasSubstr("replaced while the sweep ran")));
}

TEST(Contents, AreTheRowsThatTheSeedDraws) {
  const TemporaryFolder folder;
  std::string rows = "sentence\tlabel\n";
  for (int i = 0; i < 520; ++i) rows += fmt::format("w{}\t{}\n", i, i % 2);
  for (const char* name : {"train.tsv", "dev.tsv"}) write_atomically(folder.path / name, rows);
  Contents contents;
  const auto rows_of = [&](const char* scoring, const char* seed) {
    RunSettings run;
    run.values = {{"model", RANKFOLD_GOLDEN_DIR "/models/llama"},
                  {"data", folder.path.string()},
                  {"task", "sst2"},
                  {"scoring", scoring},
                  {"seed", seed}};
    const RunFingerprints& found = contents.of(run);
    EXPECT_FALSE(is_unknown(found)) << scoring << seed;
    return found.train;
  };
  EXPECT_NE(rows_of("prompt", "1"), rows_of("prompt", "2"));
  EXPECT_EQ(rows_of("prompt", "2"), rows_of("prompt", "2"));
  EXPECT_EQ(rows_of("head", "1"), rows_of("head", "2"));
}

TEST_F(TrainSweep, AFinishedSweepCanBeReadWhereNothingCanBeWritten) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  const auto written = fs::last_write_time(out_ / "sweep.json");
  std::vector<SweepRun> again = plan("method = lora\nrank = 1\n");
  EXPECT_TRUE(run_sweep(again, out_, registry_, options_for(again)));
  EXPECT_EQ(fs::last_write_time(out_ / "sweep.json"), written);
}

}  // namespace
}  // namespace rankfold
