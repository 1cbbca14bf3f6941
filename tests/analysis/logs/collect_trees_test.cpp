#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "analysis/log_folders.h"
#include "source_paths.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using CollectTrees = LogFolders;

TEST_F(CollectTrees, PassesOverFilesWithoutKeptScalars) {
  request_.logs = {fs::path(RANKFOLD_GOLDEN_DIR) / "logs" / "hparams"};
  request_.names = {"task", "model", "method"};
  const CollectReport report = collect(request_);
  EXPECT_EQ(report.files, 8u);
  EXPECT_EQ(report.passed_over.size(), 4u);
  EXPECT_THAT(report.index, ElementsAre("task", "model", "method", "rank", "tag", "step", "seed"));
}

TEST_F(CollectTrees, TakesTheDepthsThatAreAskedFor) {
  write("a/1", 1), write("a/2/extra", 2), write("b/3", 3);
  EXPECT_THAT(failure(), HasSubstr("or --depth 2 or any"));
  request_.depth = 2;
  const CollectReport report = collect(request_);
  EXPECT_EQ(column("value"), "1 3");
  ASSERT_EQ(report.passed_over.size(), 1u);
  EXPECT_EQ(report.passed_over[0].text, "below 3 folders without a name");
  request_.depth.reset();
  request_.any_depth = true;
  request_.names = {"x", "y", "z"};
  collect(request_);
  EXPECT_EQ(column("value"), "1 2 3");
  EXPECT_EQ(column("z"), " extra ");
}

TEST_F(CollectTrees, ReadsARestartAsTensorBoardDoes) {
  request_.logs = {fs::path(RANKFOLD_GOLDEN_DIR) / "logs" / "restart"};
  request_.tags = "eval/accuracy";
  const CollectReport report = collect(request_);
  const std::string last = column("value");
  EXPECT_THAT(last, testing::EndsWith(" 0.6399999856948853"));
  ASSERT_EQ(report.restarts.size(), 1u);
  EXPECT_THAT(report.restarts[0].text, AllOf(HasSubstr("restarts; "), HasSubstr("left out")));
  request_.keep_restarted = true;
  const std::uint64_t all = collect(request_).rows;
  EXPECT_GT(all, report.rows);
}

TEST_F(CollectTrees, EndsAFileWhereALaterOneOfItsFolderHasItsStepsAgain) {
  write("a/1", [](EventWriter& writer) {
    for (int step = 1; step <= 5; ++step) writer.scalar("eval/loss", step, step);
    writer.scalar("train/loss", 6, 6);
  });
  write("a/1", [](EventWriter& writer) {
    for (int step = 3; step <= 4; ++step) writer.scalar("eval/loss", 10 * step, step);
    writer.scalar("train/loss", 7, 7);
  });
  write("b/1", [](EventWriter& writer) { writer.scalar("eval/loss", 7, 3); });
  const CollectReport report = collect(request_);
  EXPECT_EQ(column("value"), "1 2 30 40 6 7 7");
  ASSERT_EQ(report.restarts.size(), 1u);
  EXPECT_THAT(report.restarts[0].text, HasSubstr("3 earlier scalars of steps 3 to 5 left out"));
  request_.keep_restarted = true;
  collect(request_);
  EXPECT_EQ(column("value"), "1 2 3 30 4 40 5 6 7 7");
}

TEST_F(CollectTrees, KeepsWhatOneFileHasInAnyOrder) {
  write("a/1", [](EventWriter& writer) {
    for (const int step : {5, 1, 5, 3}) writer.scalar("eval/loss", step, step);
  });
  const CollectReport report = collect(request_);
  EXPECT_EQ(column("value"), "1 3 5 5");
  EXPECT_TRUE(report.restarts.empty());
}

TEST_F(CollectTrees, PassesOverWhatIsNoFile) {
  write("a/1", 1);
  fs::create_symlink("events.out.tfevents.loop", logs_ / "a/1/events.out.tfevents.loop");
  ASSERT_EQ(::mkfifo((logs_ / "a/1/events.out.tfevents.pipe").c_str(), 0600), 0);
  fs::create_directory_symlink("..", logs_ / "a/up");
  fs::create_directory_symlink("a", logs_ / "A-latest");
  const CollectReport report = collect(request_);
  EXPECT_EQ(column("0"), "a");
  EXPECT_EQ(report.notes.size(), 2u);
}

TEST_F(CollectTrees, WritesOverParquetFilesOnly) {
  const fs::path log = write("a/1", 1);
  const std::string bytes = read_text(log);
  request_.out = log;
  EXPECT_THAT(failure(), HasSubstr("Parquet file"));
  EXPECT_EQ(read_text(log), bytes);
  request_.out = folder_.path / "notes.txt";
  write_atomically(request_.out, "notes");
  EXPECT_THAT(failure(), HasSubstr("notes.txt"));
  EXPECT_EQ(read_text(request_.out), "notes");
}

TEST_F(CollectTrees, TellsFoldersThatMeanTheSame) {
  write("a/lr=1e-3", 1), write("a/lr=0.001", 2);
  const CollectReport report = collect(request_);
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_THAT(report.notes[0], AllOf(HasSubstr("lr=1e-3"), HasSubstr("lr=0.001")));
}

TEST_F(CollectTrees, TellsStepsThatGoBackInOneFileAndKeepsThemAll) {
  const fs::path file = write("a", [](EventWriter& writer) {
    for (const int step : {1, 2, 3, 1, 2}) writer.scalar("train/loss", 0.1 * step, step);
  });
  const CollectReport report = collect(request_);
  EXPECT_EQ(report.rows, 5u);
  ASSERT_EQ(report.repeated.size(), 1u);
  EXPECT_EQ(report.repeated[0].file, file);
  EXPECT_THAT(report.repeated[0].text, HasSubstr("goes back to earlier steps 1 time without"));
  EXPECT_TRUE(report.restarts.empty());
}

}  // namespace
}  // namespace rankfold
