// A single run as a process: signals, closed descriptors, two of them in one folder.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "analysis/logs/event_log.h"
#include "commands/process.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class RunProcess : public Process {
 protected:
  std::vector<std::string> finetune(const std::string& epochs,
                                    const std::string& rank = "2") const {
    std::vector<std::string> words = sweep(epochs, rank);
    words.front() = "finetune";
    words.insert(words.end(), {"--threads", "1"});
    return words;
  }
  fs::path out() const { return folder_.path / "out"; }
  std::vector<fs::path> event_files() const {
    std::vector<fs::path> found;
    std::error_code failure;
    for (const auto& entry : fs::recursive_directory_iterator(out(), failure))
      if (entry.path().filename().string().starts_with("events.")) found.push_back(entry.path());
    return found;
  }
};

TEST_F(RunProcess, HasItsFolderForItselfUntilItEnds) {
  const pid_t first = start(finetune("100000"));
  ASSERT_TRUE(happens([&] { return event_files().size() == 1; }));
  for (const char* command : {"finetune", "sweep"}) {
    std::vector<std::string> words = finetune("1", "4");
    words.front() = command;
    const Result second = run(words);
    EXPECT_EQ(second.status, 1) << command;
    EXPECT_THAT(second.err, HasSubstr(out().string() + ": is in use")) << command;
  }
  ::kill(first, SIGKILL);
  wait(first);
  EXPECT_EQ(run(finetune("1", "4")).status, 0);
  EXPECT_EQ(event_files().size(), 1U);
  EXPECT_EQ(json::parse(read_text(out() / "run.json"))["settings"]["rank"], 4);
}

TEST_F(RunProcess, ThatIsStoppedLeavesNoResult) {
  // So many rows to score that the signal mostly comes then.
  std::string rows = "sentence\tlabel\n";
  for (int i = 0; i < 50'000; ++i) rows += "good w7 w8 w9 w10 w11\t1\n";
  write_atomically(folder_.path / "data" / "dev.tsv", rows);
  const pid_t process = start(finetune("1"));
  ASSERT_TRUE(happens([&] { return event_files().size() == 1; }));
  ::kill(process, SIGTERM);
  const Result result = wait(process);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("rankfold: stopped"));
  EXPECT_FALSE(fs::exists(out() / "run.json"));
}

TEST_F(RunProcess, WritesNothingForTheUserIntoItsFilesWhereStandardErrorIsClosed) {
  std::string command = "exec " + program_.string();
  for (const std::string& word : finetune("2")) command += " " + word;
  EXPECT_EQ(std::system((command + " >/dev/null 2>&-").c_str()), 0);
  ASSERT_EQ(event_files().size(), 1U);
  EXPECT_FALSE(read_scalars(event_files().front()).events.empty()) << "every checksum holds";
  EXPECT_EQ(read_text(event_files().front()).find("epoch 1 of"), std::string::npos);
}

TEST_F(RunProcess, OfAnAdapterIsScoredWithoutTheRowsThatItTrainedOn) {
  ASSERT_EQ(run(finetune("1")).status, 0);
  fs::remove(folder_.path / "data" / "train.tsv");
  const fs::path predictions = folder_.path / "predictions.tsv";
  const Result scored =
      run({"evaluate", "--model", (folder_.path / "tiny").string(), "--adapter",
           (out() / "adapter").string(), "--data", (folder_.path / "data").string(), "--threads",
           "1", "--predictions", predictions.string(), "--json"});
  ASSERT_EQ(scored.status, 0) << scored.err;
  const json document = json::parse(scored.out),
             trained = json::parse(read_text(out() / "run.json"));
  for (const char* key : {"scores", "constant_predictions", "majority_scores"})
    EXPECT_EQ(document.at(key), trained.at(key)) << key;
  EXPECT_EQ(document["majority_scores"]["accuracy"], 0.5);
  const std::string text = read_text(predictions);
  EXPECT_THAT(text, testing::StartsWith("index\tprediction\tlabel\tlogit_0\tlogit_1\tsentence\n"));
  EXPECT_THAT(text, HasSubstr("\tbad w7\n"));
}

TEST_F(RunProcess, OnAModelThatBecomesShorterNamesTheFile) {
  const pid_t process = start(finetune("100000"));
  ASSERT_TRUE(happens([&] { return event_files().size() == 1; }));
  fs::resize_file(folder_.path / "tiny" / "model.safetensors", 4096);
  const Result result = wait(process);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("model.safetensors: became shorter"));
  EXPECT_FALSE(fs::exists(out() / "run.json"));
}

}  // namespace
}  // namespace rankfold
