#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commands/command_line.h"
#include "core/base/error.h"
#include "experiments/bench/layer_bench.h"
#include "experiments/bench/timing.h"
#include "source_paths.h"
#include "temporary_folder.h"

// Times are never compared with anything but each other's arithmetic: machines are busy.

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

const std::string golden_model = RANKFOLD_GOLDEN_DIR "/models/bert";

std::string step(const std::string& model, const std::string& more) {
  return "bench step --model " + model + " --length 6 --batch 3 --threads 1 --steps 2 " + more;
}

/// Products of one step of the golden model (2 layers, 32 wide, inner 64, 4 heads) without an
/// adapter: nothing below the head has a gradient.
std::uint64_t forward_flops(std::uint64_t batch, std::uint64_t length) {
  const std::uint64_t tokens = batch * length, width = 32, inner = 64, labels = 2;
  const auto layer = [&](std::uint64_t queries) {
    return 2 * width * width * (2 * tokens + 2 * queries * batch) +
           4 * queries * batch * length * width + 4 * queries * batch * width * inner;
  };
  const std::uint64_t head = 2 * batch * width * (width + labels) + 2 * batch * width * labels;
  return layer(length) + layer(1) + head;
}

TEST(BenchLayer, ReportsEveryRegisteredMethodOverTheFrozenLayer) {
  const Outcome outcome =
      call("bench layer --width 24 --tokens 32 --rank 2 --rounds 3 --threads 1 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json document = outcome.json();
  EXPECT_EQ(document["width"], 24);
  EXPECT_EQ(document["tokens"], 32);
  EXPECT_EQ(document["threads"], 1);
  EXPECT_GT(document["frozen_ms"], document["frozen_forward_ms"]);
  std::vector<std::string> methods;
  for (const json& skipped : document["skipped"]) {
    methods.push_back(skipped["method"]);
    EXPECT_THAT(skipped["reason"].get<std::string>(), HasSubstr("acts on no weight"));
  }
  EXPECT_EQ(methods, (std::vector<std::string>{"prefix", "prompt"}));
  for (const json& row : document["rows"]) {
    methods.push_back(row["method"]);
    EXPECT_GT(row["overhead"], 0) << row;
    EXPECT_GE(row["forward_backward_ms"], row["forward_ms"]) << row;
    if (row["method"] == "lora") {
      EXPECT_EQ(row["rank"], 2);
      EXPECT_EQ(row["parameters"], 2 * 2 * 24);
    }
    if (row["method"] == "full") {
      EXPECT_TRUE(row["rank"].is_null());
      EXPECT_EQ(row["parameters"], 24 * 24);
    }
  }
  EXPECT_THAT(methods, testing::IsSupersetOf({"lora", "lotr", "lorta", "loretta_rep", "full"}));
}

TEST(BenchLayer, AdaptsSeveralSites) {
  const Outcome outcome = call(
      "bench layer --width 16 --tokens 8 --rank 2 --rounds 1 --sites 5 --method lora --method lotr "
      "--threads 1 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  ASSERT_EQ(outcome.json()["rows"].size(), 2u);
  EXPECT_EQ(outcome.json()["rows"][0]["parameters"], 5 * 2 * 2 * 16);
  EXPECT_EQ(outcome.json()["rows"][1]["parameters"], 2 * 2 * 16 + 5 * 2 * 2);
}

TEST(BenchLayer, LeavesOutMethodsThatRefuseUnlessTheyAreNamed) {
  const std::string line = "bench layer --width 8 --tokens 4 --rank 9 --rounds 1 --threads 1";
  const Outcome all = call(line + " --json");
  ASSERT_EQ(all.status, 0) << all.err;
  EXPECT_THAT(all.err, HasSubstr("lora is left out: [lora] rank is '9'"));
  const json document = all.json();
  EXPECT_TRUE(std::ranges::any_of(document["skipped"],
                                  [](const json& skipped) { return skipped["method"] == "lora"; }));
  for (const json& row : document["rows"]) EXPECT_NE(row["method"], "lora");
  const Outcome named = call(line + " --method lora");
  EXPECT_EQ(named.status, 2);
  EXPECT_THAT(named.err, HasSubstr("from 1 to 8"));
}

TEST(BenchLayer, WritesAlignedText) {
  const Outcome outcome =
      call("bench layer --width 24 --tokens 32 --rank 2 --rounds 1 --threads 1 --method lora");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              HasSubstr("1 layer of 24 x 24, 32 tokens, 1 thread; medians of 1 round"));
  EXPECT_THAT(outcome.out, HasSubstr("\nmethod  rank  parameters  forward ms"));
  EXPECT_THAT(outcome.out, HasSubstr("\nlora       2          96  "));
}

TEST(BenchLayer, SplitsTheWidthIntoTwelveHeadsOrTheMostBelow) {
  EXPECT_EQ(bench_heads(768), 12u);
  EXPECT_EQ(bench_heads(128), 8u);
  EXPECT_EQ(bench_heads(50), 10u);
  EXPECT_EQ(bench_heads(13), 1u);
}

TEST(BenchStep, CountsTheProductsOfAStep) {
  const Outcome outcome = call(step(golden_model, "--method none --json"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json document = outcome.json();
  EXPECT_EQ(document["weights"], "checkpoint");
  EXPECT_TRUE(document["rank"].is_null());
  EXPECT_EQ(document["flops"], forward_flops(3, 6));
}

TEST(BenchStep, ReportsFiguresThatAgreeWithEachOther) {
  const Outcome outcome = call(step(golden_model, "--method lora --rank 2 --json"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json document = outcome.json();
  EXPECT_EQ(document["model"], "bert");
  EXPECT_EQ(document["method"], "lora");
  EXPECT_EQ(document["rank"], 2);
  EXPECT_EQ(document["batch"], 3);
  EXPECT_EQ(document["length"], 6);
  EXPECT_EQ(document["steps"], 2);
  const double milliseconds = document["step_ms"], floor = document["floor_ms"];
  EXPECT_NEAR(document["tokens_per_second"], 18 / (milliseconds / 1e3), 1e-6);
  EXPECT_NEAR(document["share_of_floor"], floor / milliseconds, 1e-9);
  EXPECT_NEAR(floor * document["large_sgemm_gflops"].get<double>() * 1e6,
              document["flops"].get<double>(), 1);
  EXPECT_GT(document["flops"], forward_flops(3, 6));
  EXPECT_GT(document["peak_memory_mib"], 0);
  double shares = 0;
  for (const auto& [work, share] : document["profile"].items()) shares += share.get<double>();
  EXPECT_NEAR(shares, 1, 1e-9);
  EXPECT_EQ(document["profile"].size(), 5u);
}

TEST(BenchStep, SetsAZerothOrderStepBesideAForwardPass) {
  const Outcome outcome =
      call(step(golden_model, "--method none --optimizer zo-sgd --zo-samples 2 --json"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json document = outcome.json();
  // Nothing below the head trains: the layers below the last run once for all four passes.
  EXPECT_GT(document["flops"], forward_flops(3, 6) / 2);
  EXPECT_LT(document["flops"], 4 * forward_flops(3, 6));
  const double milliseconds = document["step_ms"], forward = document["forward_ms"];
  EXPECT_NEAR(document["step_in_forwards"], milliseconds / forward, 1e-9);
  EXPECT_GT(document["forward_peak_memory_mib"], 0);
  EXPECT_FALSE(call(step(golden_model, "--method none --json")).json().contains("forward_ms"));
}

TEST(BenchStep, DrawsWeightsWhereAFolderHasNone) {
  const TemporaryFolder folder;
  fs::copy_file(golden_model + "/config.json", folder.path / "config.json");
  const Outcome outcome =
      call(step(folder.path.string(), "--method lotr --rank 2 --dropout 0.2 --json"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["weights"], "random");
  EXPECT_EQ(outcome.json()["dropout"]["attention"], 0.2);
  EXPECT_THAT(outcome.err, HasSubstr("no weights are there; random ones serve"));
  EXPECT_EQ(folder.count(), 1u) << "something was written";
}

TEST(BenchStep, WritesAlignedText) {
  const Outcome outcome = call(step(golden_model, "--method lora --rank 2"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              HasSubstr("lora on bert rank 2, 3 x 6 tokens, 1 thread; median of 2 steps\n"));
  for (const char* line : {"\nstep         ", "\nspeed        ", "\nprofile      frozen product "})
    EXPECT_THAT(outcome.out, HasSubstr(line));
}

TEST(Bench, RefusesWhatItCannotMeasure) {
  const std::string layer = "bench layer --rank 2 ", model = " --model " + golden_model;
  const std::pair<std::string, std::string> cases[] = {
      {"bench", "expected layer, step"},
      {"bench leyer", "did you mean 'layer'"},
      {"bench layer", "--rank is missing"},
      {layer + "--width 0", "--width is '0'"},
      {layer + "--tokens x", "--tokens is 'x'"},
      {layer + "--threads 0", "--threads is 0; expected 1 to 4096"},
      {layer + "--width 90000000 --tokens 90000000", "expected at most the"},
      {layer + "--width 900000000", "expected at most 100000000"},
      {layer + "--method lorra", "did you mean 'lora'"},
      {layer + "--method lora,lora", "stands twice"},
      {layer + "--model minilm-l6", "unknown option"},
      {"bench step --method lora --rank 2", "--model"},
      {"bench step --method lora --length 6" + model, "[lora]"},
      {"bench step --method lora --rank 33 --length 6" + model, "from 1 to 32"},
      {"bench step --method lora --rank 2 --length 65" + model, "64 positions"},
      {"bench step --method lora --rank 2 --batch 0" + model, "--batch is 0; expected 1 or more"},
      {"bench step --method lora --rank 2 --dropout 1" + model, "--dropout is 1"},
      {"bench step --method lora --rank 2 --length 6 --targets w" + model, "'w'"},
      {"bench step --method lora --rank 2 --model minilm-l7", "did you mean 'minilm-l6'"},
      {"bench step --method lora --rank 2 --model vit-base-patch16",
       "family vit, expected albert, bert"},
  };
  for (const auto& [line, expected] : cases) {
    const Outcome outcome = call(line);
    EXPECT_EQ(outcome.status, 2) << line;
    EXPECT_THAT(outcome.err, HasSubstr(expected)) << line;
    EXPECT_EQ(outcome.out, "") << line;
  }
}

TEST(Timing, TakesTheMedian) {
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 9}), 3);
  EXPECT_THROW(median({}), Error);
}

}  // namespace
}  // namespace rankfold
