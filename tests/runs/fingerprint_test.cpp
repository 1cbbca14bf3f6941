#include "experiments/runs/fingerprint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <fstream>

#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class Fingerprints : public Workplace {
 protected:
  RunFingerprints now() const { return FingerprintStore().of(settings()); }
  fs::path weights() const { return folder / "model/model.safetensors"; }
  /// Another last byte: of the largest name's last value, say, or of one in the middle.
  void change_weights(std::size_t from_end = 1) const {
    std::string bytes = read_text(weights());
    bytes[bytes.size() - from_end] ^= 1;
    write_atomically(weights(), bytes);
  }
  void append(const fs::path& file, const std::string& text) const {
    std::ofstream(folder / file, std::ios::app) << text;
  }
  RunResult run(const FinetuneOptions& options = {}) const {
    return finetune(settings(), folder / "out", builtin_registry(), options);
  }
  std::string error() const {
    return error_of([&] { run(); });
  }
  std::vector<std::string> told() const {
    std::vector<std::string> messages;
    FinetuneOptions options;
    options.message = [&](const std::string& line) { messages.push_back(line); };
    EXPECT_TRUE(run(options).skipped);
    return messages;
  }
};

TEST_F(Fingerprints, AreOfContentAndNotOfPathsOrTimes) {
  const RunFingerprints first = now();
  EXPECT_THAT(first.model, testing::MatchesRegex("xxh64-[0-9a-f]{16}"));
  fs::last_write_time(weights(), fs::last_write_time(weights()) + std::chrono::seconds(9));
  append("model/README.md", "of no account");
  EXPECT_EQ(now(), first);
  RunSettings moved = settings();
  fs::copy(folder / "model", folder / "copy");
  moved.values["model"] = (folder / "copy").string();
  EXPECT_EQ(FingerprintStore().of(moved), first);
}

TEST_F(Fingerprints, SeeOneByteOfTheWeightsAnywhere) {
  const std::string before = now().model;
  const std::string adapters = model_fingerprint(folder / "model");
  for (const std::size_t from_end : {1U, 1000U, 40'000U}) {
    change_weights(from_end);
    EXPECT_NE(now().model, before) << from_end;
    EXPECT_NE(model_fingerprint(folder / "model"), adapters) << from_end;
    change_weights(from_end);
  }
  EXPECT_EQ(now().model, before);
}

TEST_F(Fingerprints, SeeTheConfigurationAndTheTokenizer) {
  const RunFingerprints first = now();
  append("model/config.json", " ");
  const RunFingerprints second = now();
  EXPECT_NE(second.model, first.model);
  append("model/vocab.txt", "w\n");
  EXPECT_NE(now().model, second.model);
  EXPECT_EQ(model_fingerprint(folder / "model"), ModelContent(folder / "model").weights());
}

TEST_F(Fingerprints, SeeTheRowsThatARunUses) {
  RunSettings few = settings();
  few.values["max-train"] = "10";
  const RunFingerprints all = now(), first = FingerprintStore().of(few);
  EXPECT_NE(all.train, first.train);
  append("data/train.tsv", "s\t1\t\tw5 w6\n");
  EXPECT_NE(now().train, all.train);
  EXPECT_EQ(FingerprintStore().of(few), first);
  EXPECT_EQ(now().scored, all.scored);
  append("data/dev.tsv", "s\t1\t\tw5 w6\n");
  EXPECT_NE(now().scored, all.scored);
}

TEST(RowsFingerprint, TellsEveryFieldAndTheOrder) {
  const std::vector<Example> rows = {{"a", "b", 0}, {"c", "", 1}};
  const std::string first = rows_fingerprint(rows);
  for (const std::vector<Example>& other :
       std::vector<std::vector<Example>>{{{"c", "", 1}, {"a", "b", 0}},
                                         {{"ab", "", 0}, {"c", "", 1}},
                                         {{"a", "b", 0}, {"c", "", 0}},
                                         {{"a", "b", 0}},
                                         {}})
    EXPECT_NE(rows_fingerprint(other), first);
}

TEST_F(Fingerprints, StandInRunJson) {
  const RunResult result = run();
  EXPECT_EQ(result.fingerprints, now());
  EXPECT_EQ(read_run(folder / "out/run.json").fingerprints, result.fingerprints);
}

TEST_F(Fingerprints, AFinishedRunIsNotThatOfOtherWeights) {
  run();
  change_weights();
  EXPECT_THAT(error(), HasSubstr("out/run.json holds a finished run of these settings, but the "
                                 "model folder has other content (xxh64-"));
  EXPECT_THAT(error(), HasSubstr("--force"));
  FinetuneOptions force;
  force.force = true;
  EXPECT_FALSE(run(force).skipped);
  EXPECT_TRUE(run().skipped);
}

TEST_F(Fingerprints, AFinishedRunIsNotThatOfOtherRows) {
  run();
  append("data/train.tsv", "s\t1\t\tw5 w6\n");
  EXPECT_THAT(error(), HasSubstr("the rows to train on have other content"));
  FinetuneOptions force;
  force.force = true;
  run(force);
  append("data/dev.tsv", "s\t1\t\tw5 w6\n");
  EXPECT_THAT(error(), HasSubstr("the rows to score have other content"));
}

TEST_F(Fingerprints, ARunOfAnOlderVersionIsUnknownAndTold) {
  run();
  auto document = nlohmann::json::parse(read_text(folder / "out/run.json"));
  document.erase("fingerprints");
  write_atomically(folder / "out/run.json", document.dump());
  EXPECT_THAT(told(), testing::Contains(HasSubstr("kept no fingerprints")));
}

TEST_F(Fingerprints, AFinishedRunWhoseModelIsGoneIsStillFinished) {
  run();
  fs::remove_all(folder / "model");
  EXPECT_THAT(told(), testing::Contains(HasSubstr("is not known: ")));
}

TEST_F(Fingerprints, TheAdapterBelongsToTheWeightsThatWereRead) {
  const std::string before = model_fingerprint(folder / "model");
  FinetuneOptions options;
  bool changed = false;
  options.progress = [&](const TrainingProgress&) {
    if (!std::exchange(changed, true)) change_weights(1000);  // another file under the name
  };
  EXPECT_EQ(run(options).status, "done");
  EXPECT_EQ(read_adapter_description(folder / "out/adapter").fingerprint, before);
  EXPECT_NE(model_fingerprint(folder / "model"), before);
}

TEST_F(Fingerprints, ARunWhoseWeightsAreChangedUnderItFails) {
  FinetuneOptions options;
  options.progress = [&](const TrainingProgress& progress) {
    if (progress.step != 1) return;
    std::fstream file(weights(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-4, std::ios::end);
    file.write("\0\0\0\0", 4);
    file.close();
    fs::last_write_time(weights(), fs::last_write_time(weights()) + std::chrono::seconds(9));
  };
  EXPECT_THAT(error_of([&] { run(options); }),
              HasSubstr("model.safetensors: was changed while it was in use"));
  EXPECT_EQ(read_run(folder / "out/run.json").status, "failed");
}

TEST_F(Fingerprints, AdaptersOfOlderVersionsAreStillChecked) {
  run();
  const fs::path file = folder / "out/adapter/adapter_config.json";
  auto document = nlohmann::json::parse(read_text(file));
  const std::string short_form = model_fingerprint(folder / "model", "0123456789abcdef");
  EXPECT_THAT(short_form, testing::MatchesRegex("[0-9a-f]{16}"));
  const auto load = [&](const std::string& recorded) {
    document["fingerprint"] = recorded;
    write_atomically(file, document.dump());
    return error_of([&] {
      load_adapted_model(folder / "model", folder / "out/adapter", builtin_registry(),
                         make_cpu_device());
    });
  };
  EXPECT_EQ(load(short_form), "");
  EXPECT_THAT(load("0123456789abcdef"), HasSubstr("fingerprint"));
  const std::string whole = model_fingerprint(folder / "model");
  EXPECT_EQ(load(whole), "");
  change_weights();
  EXPECT_THAT(load(whole), HasSubstr("fingerprint"));
}

}  // namespace
}  // namespace rankfold
