#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commands/command_line.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

class SweepCommand : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) const {
    write_atomically(folder_.path / name, text);
    return (folder_.path / name).string();
  }
  std::string out() const { return (folder_.path / "out").string(); }

  TemporaryFolder folder_;
};

TEST_F(SweepCommand, CountsIntoOneFile) {
  const std::string file = write("sweep.txt",
                                 "kind = count\nmodel = roberta-base\nmethod = lora, lotr, none\n"
                                 "rank = 1,2\n");
  const Outcome outcome = call({"sweep", file, "--out", out()});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("5 settings"));
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(out())) names.push_back(entry.path().filename());
  EXPECT_THAT(names, testing::ElementsAre("counts.csv"));
  EXPECT_THAT(read_text(fs::path(out()) / "counts.csv"),
              HasSubstr("roberta-base,lotr,2,\"q,v\",all,24,12,3168,3168\n"));
  EXPECT_EQ(call({"sweep", file, "--out", out(), "--json"}).json()["settings"], 5);
}

TEST_F(SweepCommand, TakesTheGridFromTheCommandLine) {
  const Outcome outcome =
      call({"sweep", "--kind=count", "--model", "roberta-base", "--method", "lora,lotr", "--rank",
            "1,2,4", "--targets", "q,v;q,k,v,o", "--lotr.stack", "one,per-type", "--dry-run"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("\n18 settings\n"));
}

TEST_F(SweepCommand, TheCommandLineHasTheLastWord) {
  const std::string file =
      write("sweep.txt", "kind = count\nmodel = roberta-base\nmethod = lora\nrank = 1,2\n");
  EXPECT_THAT(call({"sweep", file, "--rank", "8", "--dry-run"}).out,
              testing::StartsWith("lora rank 8 on roberta-base: adapter 294912, trainable 294912\n"
                                  "1 setting\n"));
}

TEST_F(SweepCommand, ADryRunWritesNothing) {
  const std::string file =
      write("sweep.txt", "kind = count\nmodel = roberta-base\nmethod = lora\nrank = 1,2\n");
  const Outcome outcome = call({"sweep", file, "--out", out(), "--dry-run", "--json"});
  EXPECT_EQ(outcome.json()["count"], 2);
  EXPECT_EQ(outcome.json()["runs"][1]["trainable"], 73728);
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(SweepCommand, SaysWhatABudgetLeavesOut) {
  const Outcome outcome = call(
      "sweep --kind count --model roberta-base --method lora,lotr "
      "--budget 10000 --dry-run");
  EXPECT_THAT(outcome.out, HasSubstr("lotr rank 5"));
  EXPECT_THAT(outcome.err, HasSubstr("lora on roberta-base: rank 1 has more than 10000"));
  EXPECT_EQ(
      call("sweep --kind count --model roberta-base --method lora --budget 1 --dry-run").status, 2);
}

TEST_F(SweepCommand, KeepsKindsApart) {
  const std::string train = write("out/sweep.json", "{}");
  const std::string words = "sweep --kind count --model roberta-base --method lora --rank 1 --out ";
  const Outcome outcome = call(words + out());
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("kind train"));
  EXPECT_EQ(call(words + train).status, 1);
}

TEST_F(SweepCommand, RefusesWrongUsage) {
  const std::string folder = folder_.path.string();
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{}, "no settings"},
      {{"--rank", "1"}, "--out is missing"},
      {{"--slurm"}, "'--slurm'"},
      {{"--kind", "fit", "--method", "lora", "--out", "x"}, "input is missing"},
      {{"--kind", "cuont", "--out", "x"}, "did you mean 'count'"},
      {{"--jobs", "0", "--out", "x"}, "jobs"},
      {{"--jobs", "many", "--out", "x"}, "'many'"},
      {{"--lotr.stak", "one", "--out", "x"}, "did you mean 'stack'"},
      {{"--lorta.stack", "one", "--out", "x"}, "unknown key of lorta 'stack'"},
      {{"--lotrr.stack", "one", "--out", "x"}, "'lotrr'; did you mean 'lotr'"},
      {{"--method", "lora", "--lotr.stack", "per-typ", "--out", "x"}, "did you mean 'per-type'"},
      {{"--rank", "1,,2", "--out", "x"}, "empty value"},
      {{"--method", "lora", "--model", folder, "--rank", "1", "--out", "x"}, "--data is missing"},
      {{"--kind", "count", "--model", "roberta-base", "--method", "lora", "--rank", "x", "--out",
        "x"},
       "'x'"},
      {{"--kind", "count", "--model", "roberta-bas", "--method", "lora", "--rank", "1", "--out",
        "x"},
       "did you mean 'roberta-base'"}};
  for (const auto& [words, message] : wrong) {
    std::vector<std::string> all = {"sweep"};
    all.insert(all.end(), words.begin(), words.end());
    const Outcome outcome = call(all);
    EXPECT_EQ(outcome.status, 2) << message << ": " << outcome.err;
    EXPECT_EQ(outcome.error_lines(), 1U) << outcome.err;
    EXPECT_EQ(outcome.out, "") << message;
    EXPECT_THAT(outcome.err, HasSubstr(message));
  }
  EXPECT_EQ(call({"sweep", folder, "--out", out()}).status, 1);
  EXPECT_EQ(call({"sweep", "/nowhere", "--out", out()}).status, 1);
}

}  // namespace
}  // namespace rankfold
