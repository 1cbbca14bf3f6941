#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/logs/event_log.h"
#include "command_line.h"
#include "experiments/runs/parquet.h"
#include "process.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string tree = RANKFOLD_GOLDEN_DIR "/logs/tree";

class CollectCommand : public Process {
 protected:
  void SetUp() override {
    if (const std::string obstacle = parquet_obstacle(); !obstacle.empty())
      GTEST_SKIP() << "Parquet: " << obstacle;
    Process::SetUp();
  }
  std::string out_ = (folder_.path / "new" / "all.parquet").string();
};

TEST_F(CollectCommand, TellsWhatItWrote) {
  const Outcome text =
      call({"collect", tree, out_, "--name", "model", "method", "task", "lr", "rank", "seed"});
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("63 scalars of 4 files"));
  EXPECT_THAT(text.out, HasSubstr("index model method task lr rank tag step seed"));
  EXPECT_EQ(text.err, "");
  const Outcome document =
      call({"collect", tree, out_, "--level", "1", "--index", "tag", "step", "--json"});
  EXPECT_EQ(document.json()["rows"], 63);
  EXPECT_EQ(document.json()["files"], 4);
  EXPECT_EQ(document.json()["bytes"], fs::file_size(out_));
  EXPECT_EQ(document.json()["index"], nlohmann::json({"tag", "step"}));
  EXPECT_EQ(document.json()["columns"], nlohmann::json({"value", "0", "1", "2", "3", "4", "5"}));
}

TEST_F(CollectCommand, RefusesWrongUsageInOneLine) {
  for (const std::vector<std::string>& words :
       std::vector<std::vector<std::string>>{{"collect"},
                                             {"collect", tree},
                                             {"collect", tree, folder_.path.string()},
                                             {"collect", tree, out_, "--level", "0"},
                                             {"collect", tree, out_, "--level", "40"},
                                             {"collect", tree, out_, "--name", "a", "a"},
                                             {"collect", tree, out_, "--index", "9"},
                                             {"collect", tree, out_, "--tags", "["},
                                             {"collect", tree, out_, "--depth", "deep"},
                                             {"collect", tree, out_, "--restarts", "none"},
                                             {"collect", tree, out_, "--nmae", "a"}}) {
    const Outcome outcome = call(words);
    EXPECT_EQ(outcome.status, 2) << testing::PrintToString(words);
    EXPECT_EQ(outcome.error_lines(), 1u) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(out_));
  const Outcome failed = call({"collect", tree + "/no", out_});
  EXPECT_EQ(failed.status, 1);
  EXPECT_EQ(failed.error_lines(), 1u);
}

TEST_F(CollectCommand, TellsWhichFilesAreDamagedAndGoesOn) {
  for (const char* run : {"a/1", "a/2"})
    EventWriter(folder_.path / "logs" / run).scalar("train/loss", 1, 1);
  fs::path damaged;
  for (const auto& entry : fs::directory_iterator(folder_.path / "logs" / "a" / "2"))
    damaged = entry.path();
  fs::resize_file(damaged, fs::file_size(damaged) - 1);
  const Outcome outcome = call({"collect", (folder_.path / "logs").string(), out_});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("1 scalar of 2 files"));
  EXPECT_THAT(outcome.err, HasSubstr(damaged.string() + ": ends inside a record, at byte "));
  EXPECT_EQ(outcome.error_lines(), 1u);
}

TEST_F(CollectCommand, TellsRestartsAndFilesThatItPassesOver) {
  const std::string logs = RANKFOLD_GOLDEN_DIR "/logs/";
  const Outcome restart = call({"collect", logs + "restart", out_});
  EXPECT_EQ(restart.status, 0);
  EXPECT_THAT(restart.err, HasSubstr("3 earlier scalars of steps 30 to 50 left out"));
  EXPECT_EQ(call({"collect", logs + "restart", out_, "--restarts", "all"}).err, "");
  const Outcome hparams = call({"collect", logs + "hparams", out_});
  EXPECT_EQ(hparams.status, 0);
  EXPECT_THAT(hparams.err, HasSubstr("4 files passed over: "));
}

TEST_F(CollectCommand, NeverWritesOverAnotherFormat) {
  const fs::path notes = folder_.path / "notes.txt";
  write_atomically(notes, "mine");
  const Outcome outcome = call({"collect", tree, notes.string()});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("notes.txt: exists and is no Parquet file"));
  EXPECT_EQ(read_text(notes), "mine");
}

TEST_F(CollectCommand, FollowsRunsUntilItIsInterrupted) {
  const fs::path logs = folder_.path / "logs";
  fs::create_directories(logs);
  const pid_t process = start({"collect", logs.string(), out_, "--watch"});
  EXPECT_TRUE(happens([&] {
    return read_text(folder_.path / "stderr").find("found no event file") != std::string::npos;
  }));
  EventWriter writer(logs / "a");
  writer.scalar("train/loss", 1, 1);
  EXPECT_TRUE(happens([&] { return fs::exists(out_); }));
  writer.scalar("train/loss", 2, 2);
  EXPECT_TRUE(happens([&] {
    return read_text(folder_.path / "stdout").find("2 scalars of 1 file") != std::string::npos;
  }));
  ::kill(process, SIGINT);
  const Result result = wait(process);
  EXPECT_EQ(result.status, 0) << result.err;
  const auto names = fs::directory_iterator(fs::path(out_).parent_path());
  EXPECT_EQ(std::distance(begin(names), end(names)), 1);
}

TEST_F(CollectCommand, MakesResultsOfASweepForFigures) {
  const Result swept = run(sweep("1", "1,2"));
  ASSERT_EQ(swept.status, 0) << swept.err;
  const Outcome collected =
      call({"collect", (folder_.path / "out").string(), out_, "--name", "task", "model", "method"});
  ASSERT_EQ(collected.status, 0) << collected.err;
  const Outcome drawn = call({"figure", "parameter-efficiency", "--input", out_, "--out",
                              (folder_.path / "f.svg").string()});
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  const std::string csv = read_text(folder_.path / "f.csv");
  const Outcome direct =
      call({"figure", "parameter-efficiency", "--input", (folder_.path / "out").string(), "--out",
            (folder_.path / "g.svg").string()});
  ASSERT_EQ(direct.status, 0) << direct.err;
  const std::string of_runs = read_text(folder_.path / "g.csv");
  EXPECT_EQ(std::ranges::count(csv, '\n'), std::ranges::count(of_runs, '\n')) << csv << of_runs;
  EXPECT_THAT(csv, HasSubstr("sst2,lora,2,"));
}

TEST(CollectWithoutParquet, IsToldByTheDoctor) {
  const Outcome outcome = call("doctor --json");
  ASSERT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.json()["arrow"]["used"].get<bool>(), parquet_obstacle().empty());
}

}  // namespace
}  // namespace rankfold
