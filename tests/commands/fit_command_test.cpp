#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "command_line.h"
#include "core/safetensors.h"
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
    EXPECT_EQ(outcome.status, 1) << words;
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

}  // namespace
}  // namespace rankfold
