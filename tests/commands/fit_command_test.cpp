#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/figures/gnuplot.h"
#include "command_line.h"
#include "core/base/safetensors.h"
#include "experiments/runs/results.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

class FitCommand : public testing::Test {
 protected:
  FitCommand() {
    for (std::size_t i = 0; i < values_.size(); ++i)
      values_[i] = static_cast<float>((i * 37 + i * i % 101) % 19) - 9;
    std::vector<TensorToWrite> tensors;
    for (const char* layer : {"0", "1"})
      for (const char* name : {"q_proj", "v_proj"})
        tensors.push_back(
            make_tensor(std::string("layers.") + layer + "." + name + ".weight", {12, 12},
                        std::span<const float>(values_).subspan(18 * tensors.size(), 144)));
    write_safetensors(input(), tensors);
  }
  std::string input() const { return (folder_.path / "updates.safetensors").string(); }
  std::string out() const { return (folder_.path / "out").string(); }
  Outcome fit(const std::string& words) const {
    return call("fit --input " + input() + " --threads 1 " + words);
  }

  TemporaryFolder folder_;
  std::vector<float> values_ = std::vector<float>(300);
};

TEST_F(FitCommand, PrintsErrorsAndWritesFactorsByTheirNames) {
  const Outcome outcome = fit("--method lotr --rank 3 --json --out " + out());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto document = outcome.json();
  EXPECT_EQ(document["method"], "lotr");
  EXPECT_EQ(document["rank"], "3");
  EXPECT_EQ(document["parameters"], 2 * 3 * 12 + 4 * 9);
  EXPECT_EQ(document["sites"].size(), 4U);
  EXPECT_EQ(document["sites"][1]["name"], "layers.0.v_proj");
  EXPECT_GT(document["relative_error"], 0.0);
  EXPECT_LT(document["relative_error"], 1.0);
  EXPECT_GE(document["seconds"], 0.0);
  EXPECT_FALSE(document["convergence"].empty());
  const SafetensorsFile factors(out() + "/factors.safetensors");
  EXPECT_EQ(factors.at("lhs").shape, (std::vector<std::size_t>{3, 12}));
  EXPECT_EQ(factors.at("mid.layers.1.q_proj").shape, (std::vector<std::size_t>{3, 3}));
  EXPECT_EQ(read_text(out() + "/fit.json"), outcome.out);
}

TEST_F(FitCommand, FullRankLeavesNothing) {
  const Outcome outcome = fit("--method lora --rank 12 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_LT(outcome.json()["relative_error"], 1e-6);
}

TEST_F(FitCommand, HeadsAreGivenToTheSites) {
  EXPECT_EQ(fit("--method lorta --rank 2 --set heads=4").status, 0);
  const Outcome wrong = fit("--method lorta --rank 2 --set heads=5");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("5 heads"));
  EXPECT_THAT(fit("--method lorta --rank 2 --set heads=x").err, HasSubstr("--set heads=x"));
}

TEST_F(FitCommand, MethodsThatAreNoSumsOfProductsAreRefused) {
  for (const char* words :
       {"loretta_adp --rank 2", "dora --rank 2", "map --rank 2", "bora(lotr) --rank 2"}) {
    const Outcome outcome = fit(std::string("--method ") + words);
    EXPECT_EQ(outcome.status, 2) << words;
    EXPECT_THAT(outcome.err, HasSubstr("cannot be fitted to a weight update")) << words;
  }
  for (const char* words : {"hira --rank 2", "lora_xs --rank 2"}) {
    const Outcome outcome = fit(std::string("--method ") + words);
    EXPECT_NE(outcome.status, 0) << words;
    EXPECT_THAT(outcome.err, HasSubstr("frozen weight")) << words;
  }
}

TEST_F(FitCommand, WrongUsageIsNamed) {
  EXPECT_EQ(fit("--method lora").status, 2);
  EXPECT_EQ(fit("--method lora --rank 2 --starts 0").status, 2);
  EXPECT_EQ(fit("--method lora --rank 2 --tolerance -1").status, 2);
  EXPECT_EQ(fit("--method lora --rank 2 --set nothing=1").status, 2);
  EXPECT_EQ(call("fit --input missing.npy --method lora --rank 2").status, 1);
  EXPECT_EQ(fit("--method lora --rank 2 --minus a.npy").status, 2);
}

TEST_F(FitCommand, WeighsByInputsAndTellsBothErrors) {
  const std::string x = (folder_.path / "x.safetensors").string();
  std::vector<float> inputs(20 * 12);
  for (std::size_t i = 0; i < inputs.size(); ++i)
    inputs[i] = static_cast<float>(i * i % 23) / static_cast<float>(1 + i % 12);
  std::vector<TensorToWrite> tensors = {make_tensor("x", {20, 12}, std::span<const float>(inputs))};
  tensors.push_back(
      make_tensor("layers.1.v_proj", {10, 12}, std::span<const float>(inputs).subspan(60, 120)));
  write_safetensors(x, tensors);
  const Outcome outcome = fit("--method lora --rank 3 --json --data " + x + " --out " + out());
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto document = outcome.json();
  const auto plain = fit("--method lora --rank 3 --json").json();
  EXPECT_LT(document["weighted_error"], document["unweighted_fit"]);
  EXPECT_GT(document["relative_error"], plain["relative_error"]);
  EXPECT_FALSE(plain.contains("weighted_error"));
  EXPECT_GT(document["sites"][3]["weighted_error"], 0.0);
  EXPECT_THAT(fit("--method lora --rank 3 --data " + x).out, HasSubstr("weighted error"));
  EXPECT_EQ(SafetensorsFile(out() + "/factors.safetensors").at("A.layers.0.q_proj").type,
            DataType::f64);
}

TEST_F(FitCommand, WrongInputsAreNamed) {
  const auto refusal = [&](const std::string& name, std::vector<std::size_t> shape, float value) {
    std::size_t size = 1;
    for (const std::size_t extent : shape) size *= extent;
    const std::vector<float> values(size, value);
    const std::string file = (folder_.path / "x.safetensors").string();
    write_safetensors(file, std::vector{make_tensor(name, shape, std::span<const float>(values))});
    const Outcome outcome = fit("--method lora --rank 2 --data " + file);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.error_lines(), 1U) << outcome.err;
    return outcome.err;
  };
  EXPECT_THAT(refusal("y", {5, 12}, 1), HasSubstr("no tensor layers.0.q_proj"));
  EXPECT_THAT(refusal("x", {5, 11}, 1), HasSubstr("tensor x is 5 x 11, expected samples x 12"));
  EXPECT_THAT(refusal("x", {12}, 1), HasSubstr("tensor x is 12"));
  EXPECT_THAT(refusal("x", {0, 12}, 1), HasSubstr("holds no input"));
  EXPECT_THAT(refusal("x", {5, 12}, 0), HasSubstr("all inputs are zero"));
  EXPECT_THAT(refusal("x", {5, 12}, NAN), HasSubstr("not finite"));
  EXPECT_EQ(fit("--method lora --rank 2 --data none.npy").status, 1);
  EXPECT_EQ(fit("--method lora --rank 2 --data x.txt").status, 2);
  EXPECT_EQ(fit("--method lora --rank 2 --ridge 1").status, 2);
  EXPECT_EQ(fit("--method lora --rank 2 --data x.npy --ridge 0").status, 2);
}

TEST_F(FitCommand, IsMeasuredByTheBench) {
  const Outcome outcome =
      call("bench fit --input " + input() + " --method lora,lotr --rank 3 --repeats 2 --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto document = outcome.json();
  EXPECT_EQ(document["sites"], 4);
  ASSERT_EQ(document["rows"].size(), 2U);
  EXPECT_EQ(document["rows"][1]["parameters"], 2 * 3 * 12 + 4 * 9);
  EXPECT_EQ(document["rows"][1]["rank"], "3");
  EXPECT_GT(document["rows"][0]["seconds"], 0.0);
  const double error = fit("--method lotr --rank 3 --json").json()["relative_error"];
  EXPECT_DOUBLE_EQ(document["rows"][1]["relative_error"], error);
}

TEST(BenchFit, TakesAllMethodsOnRandomUpdatesAndSaysWhichItLeavesOut) {
  const std::string line =
      "bench fit --layers 2 --width 24 --rank 2 --repeats 1 --threads 1 --json";
  const Outcome outcome = call(line);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("dora is left out"));
  const auto document = outcome.json();
  EXPECT_GT(document["rows"].size(), 10U);
  EXPECT_TRUE(document["input"].is_null());
  for (const auto& row : document["rows"]) EXPECT_GE(row["relative_error"], 0.0);
  EXPECT_EQ(call(line + " --method dora").status, 2);
  EXPECT_EQ(call(line + " --method lora,lora").status, 2);
  EXPECT_EQ(call(line + " --repeats 0").status, 2);
  EXPECT_EQ(call("bench fit --layers 2 --width 24").status, 2);
}

TEST_F(FitCommand, RunsAsASweepWhoseTableTheFigureReads) {
  const std::string words = "sweep --kind fit --input " + input() + " --threads 1 --out " + out();
  const Outcome outcome =
      call(words + " --method lora,lotr,none --rank 2,4 --lotr.stack one,per-type --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["settings"], 7);
  EXPECT_EQ(outcome.json()["failed"], 0);
  const std::vector<ResultRow> rows = read_results(out() + "/fits.csv").rows;
  ASSERT_EQ(rows.size(), 7U);
  EXPECT_EQ(rows[0].model, "updates");
  EXPECT_EQ(rows[0].metric, "relative_error");
  EXPECT_EQ(rows[1].rank, "4");
  EXPECT_EQ(rows[1].parameters, 4 * 2 * 4 * 12);
  EXPECT_EQ(rows[2].settings.at("lotr.stack"), "one");
  const double error = fit("--method lora --rank 4 --json").json()["relative_error"];
  EXPECT_NEAR(*rows[1].score, error, 1e-8);
  EXPECT_EQ(rows[6].score, 1.0);
  EXPECT_EQ(rows[6].rank, "");
  ASSERT_EQ(call(words + " --method tucker3 --rank 3x2x2").status, 0);
  EXPECT_EQ(read_results(out() + "/fits.csv").rows.at(0).rank, "3x2x2");
  const Outcome drawn = call("figure error --input " + out() + " --out " + out() + "/error.svg");
  EXPECT_TRUE(drawn.status == 0 || !gnuplot_is_installed()) << drawn.err;
}

TEST_F(FitCommand, RefusesSweepsBeforeAnythingRuns) {
  const std::string words = "sweep --kind fit --input " + input() + " --out " + out();
  EXPECT_THAT(call(words + " --method lora,dora --rank 2").err, HasSubstr("dora rank 2"));
  EXPECT_THAT(call(words + " --method lora --rank 2,13").err, HasSubstr("lora rank 13"));
  EXPECT_EQ(call(words + " --method lora --rank 2 --heads 5").status, 0);
  EXPECT_EQ(call(words + " --method lorta --rank 2 --heads 5").status, 2);
  EXPECT_EQ(call("sweep --kind fit --input no.npy --method lora --rank 2 --out x").status, 1);
}

TEST_F(FitCommand, GivesABudgetTheLargestRankOfTheFilesMatrices) {
  const Outcome outcome = call("sweep --kind fit --input " + input() +
                               " --method lora,lotr,full --budget 300 --dry-run");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("lora rank 3"));
  EXPECT_THAT(outcome.out, HasSubstr("lotr rank 6"));
  EXPECT_THAT(outcome.out, HasSubstr("full"));  // what others are compared with stays
}

}  // namespace
}  // namespace rankfold
