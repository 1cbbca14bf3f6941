#include "core/base/progress.h"

#include <sstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/machine.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

/// A Progress into a text, with a clock that the test moves.
struct Watched {
  std::ostringstream stream;
  double now = 100;
  Progress progress;

  Watched(std::size_t total, bool terminal, std::size_t columns = 80)
      : progress("train", total, terminal, {&stream, [this] { return now; }, columns}) {}

  std::string shown() {
    std::string text = stream.str();
    stream.str("");
    return text;
  }
};

TEST(Progress, DrawsABarWithRateAndTimeLeft) {
  Watched watched(200, true);
  watched.now += 10;
  watched.progress.update(50, "loss 0.5");
  EXPECT_EQ(watched.shown(),
            "\rtrain [#####...............]  25 % 50/200, 5.00/s, 0:30 left, loss 0.5\x1b[K");
}

TEST(Progress, RedrawsABarAtMostTenTimesASecond) {
  Watched watched(10000, true);
  std::size_t drawn = 0;
  for (std::size_t done = 1; done <= 5000; ++done) {
    watched.now += 0.001;
    watched.progress.update(done);
    if (!watched.shown().empty()) ++drawn;
  }
  EXPECT_GE(drawn, 45);
  EXPECT_LE(drawn, 51);
}

TEST(Progress, FinishShowsTheLastStateOnce) {
  Watched watched(4, true);
  watched.progress.update(1);
  watched.now += 0.01;
  watched.progress.update(4, "done");
  watched.shown();
  watched.now += 1.99;
  watched.progress.finish();
  EXPECT_EQ(watched.shown(),
            "\rtrain [####################] 100 % 4/4, 2.00/s, took 0:02, done\x1b[K\n");
  watched.progress.finish();
  watched.progress.update(4);
  EXPECT_EQ(watched.shown(), "");
}

TEST(Progress, ABarNeverFillsTheTerminalsLine) {
  Watched watched(4, true, 20);
  watched.progress.update(1, "größe");
  EXPECT_EQ(watched.shown(), "\rtrain [#####.......\x1b[K");
}

TEST(Progress, AnUnfinishedBarEndsItsLine) {
  std::ostringstream stream;
  {
    Progress progress("train", 4, true, {&stream, [] { return 0.0; }, 80});
    progress.update(1);
  }
  EXPECT_TRUE(stream.str().ends_with("\x1b[K\n"));
}

TEST(Progress, AddsOneLinePerTenthElsewhere) {
  Watched watched(100, false);
  std::size_t lines = 0;
  for (std::size_t done = 1; done <= 100; ++done) {
    watched.now += 0.5;
    watched.progress.update(done);
    if (!watched.shown().empty()) ++lines;
  }
  EXPECT_EQ(lines, 9);
  watched.progress.finish();
  EXPECT_EQ(watched.shown(), "train: 100 % 100/100, 2.00/s, took 0:50\n");
}

TEST(Progress, AddsALineEveryTenSecondsOfASlowJob) {
  Watched watched(1000, false);
  watched.now += 9;
  watched.progress.update(1);
  EXPECT_EQ(watched.shown(), "");
  watched.now += 1;
  watched.progress.update(2);
  EXPECT_EQ(watched.shown(), "train:   0 % 2/1000, 0.20/s, 1:23:10 left\n");
}

TEST(Progress, AFastJobGetsOneLine) {
  Watched watched(1000, false);
  for (std::size_t done = 1; done <= 1000; ++done) watched.progress.update(done);
  watched.now += 0.5;
  watched.progress.finish();
  EXPECT_EQ(watched.shown(), "train: 100 % 1000/1000, 2000/s, took 0:01\n");
}

TEST(Progress, CountsWhereTheTotalIsUnknown) {
  Watched watched(0, false);
  watched.now += 10;
  watched.progress.update(30);
  EXPECT_EQ(watched.shown(), "train: 30, 3.00/s\n");
}

TEST(Progress, MoreStepsThanThereAreDoNotHarm) {
  Watched watched(10, true);
  watched.now += 1;
  watched.progress.update(20);
  EXPECT_THAT(watched.shown(), HasSubstr("[####################] 100 % 20/10, 20.0/s, 0:00 left"));
}

TEST(Progress, TextOfSeveralLinesStaysOne) {
  Watched watched(10, false);
  watched.now += 10;
  watched.progress.update(1, "a\nb");
  EXPECT_THAT(watched.shown(), HasSubstr("a\\nb\n"));
}

TEST(Version, DescribesTheMachineInOneLine) {
  EXPECT_EQ(version(), "0.1.0");
  EXPECT_GE(cpu_count(), 1);
  EXPECT_GT(memory_mib(), 100);
  EXPECT_FALSE(cpu_model().empty());
  EXPECT_THAT(machine_description(), HasSubstr(cpu_model()));
  EXPECT_THAT(machine_description(), testing::Not(HasSubstr("\n")));
  EXPECT_THAT(compiler(), HasSubstr("++ "));
}

TEST(Version, PeakMemoryGrowsWithUse) {
  const double before = peak_memory_mib();
  EXPECT_GT(before, 1);
  const std::vector<char> block(std::size_t{200} << 20, 'x');
  EXPECT_GE(peak_memory_mib(), 200 + (block.back() == 'x' ? 0 : 1));
  EXPECT_GE(peak_memory_mib(), before);
}

}  // namespace
}  // namespace rankfold
