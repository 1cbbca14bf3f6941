#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class CachedRun : public Workplace {
 protected:
  RunSettings top_layer(const std::string& method = "lora", const std::string& rank = "2") const {
    RunSettings result = settings(method, rank);
    result.values["layers"] = "last:1";
    result.values["dropout"] = "0";
    result.values["epochs"] = "3";
    return result;
  }
  RunSettings cached(RunSettings plain) const {
    plain.values["cache-features"] = "true";
    return plain;
  }
  RunResult run(const RunSettings& wanted, const std::string& out) {
    messages_.clear();
    FinetuneOptions options;
    options.message = [this](const std::string& line) { messages_.push_back(line); };
    return finetune(wanted, folder / out, builtin_registry(), options);
  }
  std::string adapter(const std::string& out) const {
    return read_text(folder / out / "adapter/adapter_model.safetensors");
  }
  void expect_close(const RunResult& found, const RunResult& expected) const {
    ASSERT_EQ(found.epochs.size(), expected.epochs.size());
    for (std::size_t i = 0; i < found.epochs.size(); ++i) {
      EXPECT_NEAR(found.epochs[i].loss, expected.epochs[i].loss, 1e-5);
      for (const auto& [metric, value] : expected.epochs[i].scores)
        EXPECT_NEAR(found.epochs[i].scores.at(metric), value, 1e-4) << metric;
    }
  }
  void expect_equal(const RunResult& found, const RunResult& expected) const {
    ASSERT_EQ(found.epochs.size(), expected.epochs.size());
    for (std::size_t i = 0; i < found.epochs.size(); ++i) {
      EXPECT_EQ(found.epochs[i].loss, expected.epochs[i].loss);
      EXPECT_EQ(found.epochs[i].scores, expected.epochs[i].scores);
    }
  }

  std::vector<std::string> messages_;
};

TEST_F(CachedRun, AgreesWithARunThatComputesEverything) {
  for (const Method& method : builtin_registry().methods()) {
    // A norm or tokens below every layer.
    if (!method.trained_part.empty() || method.entry == Entry::embeddings) continue;
    const RunSettings plain = top_layer(method.name, method.has_rank ? "2" : "");
    const RunResult expected = run(plain, method.name);
    const RunResult found = run(cached(plain), method.name + "-cached");
    EXPECT_EQ(found.status, "done") << method.name;
    expect_close(found, expected);
    EXPECT_THAT(messages_, Contains(HasSubstr("features of 40 train examples below layer 1")));
    EXPECT_THAT(messages_, Contains(HasSubstr("features of 17 dev examples below layer 1")));
  }
}

TEST_F(CachedRun, GivesTheSameBitsColdAndWarm) {
  RunSettings wanted = cached(top_layer());
  wanted.values["cache-dir"] = (folder / "kept").string();
  const RunResult cold = run(wanted, "cold");
  EXPECT_THAT(messages_, Contains(HasSubstr("computed in")));
  const RunResult warm = run(wanted, "warm");
  EXPECT_THAT(messages_, testing::Not(Contains(HasSubstr("computed in"))));
  expect_equal(warm, cold);
  EXPECT_EQ(adapter("warm"), adapter("cold"));
  // Another method, rank and seed find the same files.
  RunSettings other = cached(top_layer("lotr", "3"));
  other.values["cache-dir"] = (folder / "kept").string();
  other.values["seed"] = "7";
  other.values["batch"] = "5";
  run(other, "other");
  EXPECT_THAT(messages_, testing::Not(Contains(HasSubstr("computed in"))));
}

TEST_F(CachedRun, KeepsItsFeaturesInItsOwnFolderByDefault) {
  const RunResult result = run(cached(top_layer()), "out");
  EXPECT_TRUE(fs::is_directory(folder / "out/.features"));
  EXPECT_EQ(result.settings.text("cache-features"), "true");
  EXPECT_EQ(read_run(folder / "out/run.json").settings, result.settings);
}

TEST_F(CachedRun, ComputesWhatDoesNotFitInEveryStep) {
  RunSettings wanted = cached(top_layer());
  wanted.values["cache-limit"] = "0";
  const RunResult found = run(wanted, "cached");
  EXPECT_THAT(messages_, Contains(HasSubstr("features of 0 of 40 train examples")));
  expect_close(found, run(top_layer(), "plain"));
  EXPECT_FALSE(fs::exists(folder / "cached/.features"));
}

TEST_F(CachedRun, IsRefusedWhereActivationsChange) {
  const auto refusal = [&](const std::string& name, const std::string& value) {
    RunSettings wanted = cached(top_layer());
    wanted.values[name] = value;
    EXPECT_THROW(run(wanted, "out"), UsageError) << name;
    EXPECT_FALSE(fs::exists(folder / "out")) << name;
    return error_of([&] { run(wanted, "out"); });
  };
  EXPECT_THAT(refusal("dropout", "0.1"), HasSubstr("expected --dropout 0"));
  EXPECT_THAT(refusal("layers", "all"), HasSubstr("expected --layers last:N"));
  EXPECT_THAT(refusal("train", "norms"), HasSubstr("--train norms"));
  EXPECT_THAT(refusal("cache-features", "yes"), HasSubstr("cache-features"));
  EXPECT_THAT(refusal("cache-limit", "-1"), HasSubstr("--cache-limit is '-1'"));
  // The dropout of config.json, which is 0 here, counts where none is given.
  RunSettings wanted = cached(top_layer());
  wanted.values.erase("dropout");
  EXPECT_EQ(run(wanted, "out").status, "done");
}

TEST_F(CachedRun, IsTheSameRunWhereverItsFeaturesAre) {
  run(cached(top_layer()), "out");
  RunSettings moved = cached(top_layer());
  moved.values["cache-dir"] = (folder / "elsewhere").string();
  moved.values["cache-limit"] = "1";
  EXPECT_TRUE(run(moved, "out").skipped);
  EXPECT_THAT(error_of([&] { run(top_layer(), "out"); }),
              HasSubstr("cache-features is true there and false here"));
}

TEST_F(CachedRun, StopsWhileItComputesFeatures) {
  FinetuneOptions options;
  // The first pause of a cache comes once its folder is there.
  options.stop_requested = [&] { return fs::exists(folder / "out/.features"); };
  EXPECT_THAT(
      error_of([&] { finetune(cached(top_layer()), folder / "out", builtin_registry(), options); }),
      HasSubstr("stopped before it trained"));
  EXPECT_FALSE(fs::exists(folder / "out/run.json"));
}

}  // namespace
}  // namespace rankfold
