#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include <fmt/core.h>

#include "analysis/figures/figure.h"
#include "analysis/figures/gnuplot.h"
#include "command_line.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class FigureCommand : public testing::Test {
 protected:
  void SetUp() override {
    if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
    std::string csv = "task,model,method,rank,seed,parameters,metric,score,lr\n";
    for (const int rank : {1, 4}) {
      for (const int seed : {1, 2}) {
        for (const char* lr : {"1e-3", "1e-2"}) {
          csv += fmt::format("cola,m,lora,{},{},{},matthews_correlation,0.{}{},{}\n", rank, seed,
                             1000 * rank, rank + 2, seed, lr);
        }
      }
    }
    write("results.csv", csv);
  }
  void write(const std::string& name, const std::string& text) const {
    write_atomically(folder_.path / name, text);
  }
  std::string path(const std::string& name) const { return (folder_.path / name).string(); }
  const TemporaryFolder folder_;
};

TEST_F(FigureCommand, DrawsPublishedScoresWithoutInput) {
  const Outcome drawn =
      call("figure parameter-efficiency --published lotr --json --out " + path("new/lotr.svg"));
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_EQ(drawn.json()["csv"], path("new/lotr.csv"));
  EXPECT_THAT(read_text(path("new/lotr.svg")), HasSubstr("wnli"));
}

TEST_F(FigureCommand, LaysPublishedScoresBehindOnesOwn) {
  const Outcome drawn = call("figure rank --input " + path("results.csv") +
                             " --overlay lotr --size single --out " + path("own.svg"));
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_THAT(read_text(path("own.csv")), HasSubstr("lotr (published)"));
  const Outcome refused = call("figure learning-rate --input " + path("results.csv") +
                               " --overlay lotr --out " + path("lr.svg"));
  EXPECT_EQ(refused.status, 2);
  EXPECT_FALSE(std::filesystem::exists(path("lr.svg")));
}

TEST_F(FigureCommand, DrawsAPaperOfAllKindsThatTheResultsAllow) {
  const Outcome drawn = call("figure --paper " + path("paper") + " --input " + path("results.csv"));
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_THAT(drawn.out, AllOf(HasSubstr("learning-rate.pdf\n"), HasSubstr("cost left out: "),
                               HasSubstr("spectrum left out: "), HasSubstr("figures.tex\n")));
  EXPECT_THAT(read_text(path("paper/figures.tex")),
              AllOf(HasSubstr("folder learning-rate.tex}"), Not(HasSubstr("folder cost.tex}"))));
  const Outcome document =
      call("figure all --json --paper " + path("paper") + " --input " + path("results.csv"));
  EXPECT_EQ(document.json()["drawn"].size() + document.json()["left_out"].size(),
            figure_kinds().size());
}

TEST_F(FigureCommand, DrawsTheSpectrumFromAFileOrItsFolder) {
  write("s/spectrum.csv", "site,layer,matrix,index,value\nq0,0,q,1,2\nq0,0,q,2,1\n");
  write("s/sweep.json", "{}");
  for (const char* input : {"s", "s/spectrum.csv"}) {
    const Outcome drawn =
        call("figure spectrum --input " + path(input) + " --out " + path("spectrum.svg"));
    EXPECT_EQ(drawn.status, 0) << drawn.err;
  }
  EXPECT_EQ(
      call("figure spectrum --input " + path("results.csv") + " --out " + path("x.svg")).status, 1);
}

TEST_F(FigureCommand, KeepsTheSpectrumThatItIsGiven) {
  const std::string values = "site,layer,matrix,index,value\nq0,0,q,1,2\nq0,0,q,2,1\n";
  write("spectrum.csv", values);
  const Outcome drawn = call("figure spectrum --json --input " + path("spectrum.csv") + " --out " +
                             path("spectrum.pdf"));
  ASSERT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_EQ(drawn.json()["csv"], path("spectrum.drawn.csv"));
  EXPECT_EQ(read_text(path("spectrum.csv")), values);
  const std::string results = read_text(path("results.csv"));
  write("res/spectrum.csv", values);
  write("res/counts.csv", results);
  const Outcome paper = call("figure --paper " + path("res") + " --input " + path("res"));
  ASSERT_EQ(paper.status, 0) << paper.err;
  EXPECT_EQ(read_text(path("res/spectrum.csv")), values);
  EXPECT_EQ(read_text(path("res/counts.csv")), results);
  EXPECT_THAT(read_text(path("res/figures.tex")), Not(HasSubstr(folder_.path.string())));
}

TEST_F(FigureCommand, ChecksItsLookBeforeItReads) {
  const std::string draw = "figure rank --input " + path("results.csv") + " --out " + path("x.svg");
  for (const char* wrong :
       {"--width 5", "--width 5in --size single", "--x-range 3", "--y-range 2:1", "--labels some",
        "--spread bar", "--panels method", "--x-range -1:5"}) {
    const Outcome refused = call(draw + " " + wrong);
    EXPECT_EQ(refused.status, 2) << wrong;
    EXPECT_EQ(refused.error_lines(), 1U) << wrong;
  }
  EXPECT_FALSE(std::filesystem::exists(path("x.svg")));
  const Outcome drawn = call(draw +
                             " --width 5.5in --y-range 20:80 --labels front --spread dots "
                             "--panels methods");
  EXPECT_EQ(drawn.status, 0) << drawn.err;
  EXPECT_THAT(read_text(path("x.svg")), HasSubstr("width=\"528\""));
}

TEST_F(FigureCommand, LeavesNothingWhereItCannotWrite) {
  const std::string input = " --input " + path("results.csv");
  const Outcome full = call("figure rank --out /dev/full/x.svg" + input);
  EXPECT_EQ(full.status, 1);
  EXPECT_EQ(full.error_lines(), 1U);
  const Outcome inside_a_file = call("figure --paper " + path("results.csv") + "/paper" + input);
  EXPECT_EQ(inside_a_file.status, 1);
  EXPECT_THAT(inside_a_file.err, HasSubstr("results.csv"));
}

TEST_F(FigureCommand, TellsWhatAnEmptyOrMixedInputLacks) {
  write("empty.csv", "task,model,method,rank,seed,parameters,metric,score\n");
  write("mixed.csv",
        "task,model,method,rank,seed,parameters,metric,score\n"
        "mrpc,m,lora,1,1,10,accuracy,0.5\nmrpc,m,lotr,1,1,10,f1,0.5\n");
  const Outcome empty =
      call("figure rank --input " + path("empty.csv") + " --out " + path("a.svg"));
  EXPECT_EQ(empty.status, 1);
  EXPECT_THAT(empty.err, HasSubstr("holds no results"));
  const Outcome mixed =
      call("figure rank --input " + path("mixed.csv") + " --out " + path("a.svg"));
  EXPECT_EQ(mixed.status, 1);
  EXPECT_THAT(mixed.err, AllOf(HasSubstr("mixed.csv:3"), HasSubstr("not mixed in one panel")));
}

}  // namespace
}  // namespace rankfold
