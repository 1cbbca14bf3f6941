#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "experiments/sweep/processes.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

Job shell(const TemporaryFolder& folder, const std::string& script,
          const std::string& log = "log") {
  return {{"/bin/sh", "-c", script}, folder.path / log};
}

/// All of them, each as it is.
bool run_all(const std::vector<Job>& jobs, JobOptions options) {
  options.prepare = [&](std::size_t job, Job& process) {
    process = jobs[job];
    return Turn::run;
  };
  return run_jobs(jobs.size(), options);
}

TEST(Processes, KeepTheirOutputAndTellHowTheyEnded) {
  const TemporaryFolder folder;
  const std::vector<Job> jobs = {shell(folder, "echo $COLOUR; cat; exit 3", "a"),
                                 shell(folder, "kill -9 $$", "b"),
                                 {{"/nowhere/program"}, folder.path / "c"}};
  std::map<std::size_t, JobEnd> ends;
  JobOptions options;
  options.environment = {{"COLOUR", "blue"}};
  options.ended = [&](const JobEnd& end) { ends[end.job] = end; };
  EXPECT_TRUE(run_all(jobs, options));
  ASSERT_EQ(ends.size(), 3U);
  EXPECT_EQ(ends[0].exit_status, 3);
  EXPECT_EQ(read_text(folder.path / "a"), "blue\n");
  EXPECT_EQ(ends[1].signal, SIGKILL);
  EXPECT_EQ(ends[2].exit_status, 127);
  EXPECT_THAT(read_text(folder.path / "c"), HasSubstr("cannot be run"));
}

TEST(Processes, RunAsManyAtATimeAsAsked) {
  for (const std::size_t most : {1U, 3U}) {
    const TemporaryFolder folder;
    std::vector<Job> jobs;
    for (int i = 0; i < 6; ++i) jobs.push_back(shell(folder, "exit 0", std::to_string(i)));
    std::size_t running = 0, highest = 0;
    JobOptions options;
    options.at_a_time = most;
    options.started = [&](std::size_t) { highest = std::max(highest, ++running); };
    options.ended = [&](const JobEnd&) { --running; };
    EXPECT_TRUE(run_all(jobs, options));
    EXPECT_EQ(highest, most);
    EXPECT_EQ(running, 0U);
  }
}

TEST(Processes, EndWithASignalToTheirParent) {
  const TemporaryFolder folder;
  const std::vector<Job> jobs = {shell(folder, "exec tail -f /dev/null"),
                                 shell(folder, "echo never", "second")};
  JobEnd last;
  JobOptions options;
  options.started = [](std::size_t) { ::kill(::getpid(), SIGINT); };
  options.ended = [&](const JobEnd& end) { last = end; };
  EXPECT_FALSE(run_all(jobs, options));
  EXPECT_TRUE(last.stopped);
  EXPECT_EQ(last.signal, SIGTERM);
  EXPECT_FALSE(fs::exists(folder.path / "second"));
}

TEST(Processes, ALogThatCannotBeWrittenEndsItsOwnJobOnly) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder.path / "pipe").c_str(), 0600), 0);
  const std::vector<Job> jobs = {{{"/bin/true"}, folder.path / "none" / "log"},
                                 {{"/bin/true"}, folder.path / "pipe"},
                                 {{"/bin/true"}, folder.path},
                                 shell(folder, "echo well")};
  std::map<std::size_t, std::string> obstacles;
  JobOptions options;
  options.ended = [&](const JobEnd& end) { obstacles[end.job] = end.obstacle; };
  EXPECT_TRUE(run_all(jobs, options));
  EXPECT_THAT(obstacles[0], HasSubstr("none/log: cannot be written: No such file"));
  EXPECT_THAT(obstacles[1], HasSubstr("pipe: "));
  EXPECT_THAT(obstacles[2], HasSubstr("Is a directory"));
  EXPECT_EQ(obstacles[3], "");
  EXPECT_EQ(read_text(folder.path / "log"), "well\n");
}

TEST(Processes, ThatMustWaitGoLastAndAreAskedAgain) {
  const TemporaryFolder folder;
  std::vector<std::size_t> order;
  std::size_t asked = 0;
  JobOptions options;
  options.prepare = [&](std::size_t job, Job& process) {
    if (job == 1) return Turn::skip;
    if (job == 0 && (order.empty() || ++asked < 3)) return Turn::wait;
    process = shell(folder, "exit 0");
    return Turn::run;
  };
  options.ended = [&](const JobEnd& end) { order.push_back(end.job); };
  EXPECT_TRUE(run_jobs(3, options));
  EXPECT_THAT(order, testing::ElementsAre(2, 0));
}

TEST(Processes, HoldADescriptorForAsLongAsTheyRun) {
  const TemporaryFolder folder;
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  JobOptions options;
  options.prepare = [&](std::size_t, Job& process) {
    process = shell(folder, "echo held >&3");
    process.descriptor = ends[1];
    return Turn::run;
  };
  options.started = [&](std::size_t) { ::close(ends[1]); };
  EXPECT_TRUE(run_jobs(1, options));
  char text[16] = {};
  EXPECT_EQ(::read(ends[0], text, sizeof text), 5);
  EXPECT_EQ(::read(ends[0], text, sizeof text), 0) << "somebody else still has it";
  ::close(ends[0]);
}

}  // namespace
}  // namespace rankfold
