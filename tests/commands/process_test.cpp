// The program itself: what only a process shows.

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

struct Result {
  int status = 0;  ///< 128 + number where a signal ended it
  std::string out, err;
};

class Process : public testing::Test {
 protected:
  void SetUp() override {
    program_ = fs::read_symlink("/proc/self/exe").parent_path() / "rankfold";
    if (!fs::exists(program_)) GTEST_SKIP() << program_ << " is not built";
    write_task();
  }

  /// golden/models/bert with a vocabulary, and a few sentences in the form of SST-2.
  void write_task() {
    const fs::path golden = RANKFOLD_GOLDEN_DIR "/models/bert";
    fs::create_directories(folder_.path / "tiny");
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(golden / name, folder_.path / "tiny" / name);
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ngood\nbad\n";
    for (int i = 7; i < 101; ++i) vocabulary += "w" + std::to_string(i) + "\n";
    write_atomically(folder_.path / "tiny" / "vocab.txt", vocabulary);
    for (const auto& [name, rows] : {std::pair("train.tsv", 64), std::pair("dev.tsv", 16)}) {
      std::string text = "sentence\tlabel\n";
      for (int i = 0; i < rows; ++i)
        text += std::string(i % 2 == 0 ? "bad" : "good") + " w" + std::to_string(7 + i % 90) +
                "\t" + std::to_string(i % 2) + "\n";
      write_atomically(folder_.path / "data" / name, text);
    }
  }

  pid_t start(std::vector<std::string> words) {
    words.insert(words.begin(), program_.string());
    std::vector<char*> pointers;
    for (std::string& word : words) pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    const std::string out = (folder_.path / "stdout").string(),
                      err = (folder_.path / "stderr").string();
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t process = 0;
    EXPECT_EQ(posix_spawn(&process, program_.c_str(), &actions, nullptr, pointers.data(), environ),
              0);
    posix_spawn_file_actions_destroy(&actions);
    return process;
  }

  Result wait(pid_t process) {
    int status = 0;
    ::waitpid(process, &status, 0);
    return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status),
            read_text(folder_.path / "stdout"), read_text(folder_.path / "stderr")};
  }
  Result run(const std::vector<std::string>& words) { return wait(start(words)); }

  std::vector<std::string> sweep(const std::string& epochs, const std::string& ranks) const {
    return {"sweep",
            "--model",
            (folder_.path / "tiny").string(),
            "--data",
            (folder_.path / "data").string(),
            "--task",
            "sst2",
            "--method",
            "lora",
            "--lr",
            "1e-2",
            "--max-length",
            "16",
            "--batch",
            "8",
            "--rank",
            ranks,
            "--epochs",
            epochs,
            "--out",
            (folder_.path / "out").string()};
  }

  std::vector<fs::path> finished() const {
    std::vector<fs::path> found;
    std::error_code failure;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path / "out", failure))
      if (entry.path().filename() == "run.json") found.push_back(entry.path());
    return found;
  }

  /// Whether it happens within a minute.
  template <class Condition>
  static bool happens(const Condition& condition) {
    for (int i = 0; i < 1200; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return false;
  }

  /// The processes whose parent is this one.
  static std::vector<pid_t> children(pid_t parent) {
    std::vector<pid_t> found;
    const std::string file =
        "/proc/" + std::to_string(parent) + "/task/" + std::to_string(parent) + "/children";
    std::istringstream text(fs::exists(file) ? read_text(file) : "");
    for (pid_t child; text >> child;) found.push_back(child);
    return found;
  }

  TemporaryFolder folder_;
  fs::path program_;
};

TEST_F(Process, RefusesBfloat16WhereTheCpuCannotAndWritesNothing) {
  // Without oneDNN the reason differs.
  ::setenv("ONEDNN_MAX_CPU_ISA", "AVX2", 1);
  const Result doctor = run({"doctor", "--json"});
  const json bfloat16 = json::parse(doctor.out)["bfloat16"];
  EXPECT_EQ(bfloat16["available"], false);
  const std::string reason =
      "--precision bf16: " + bfloat16["obstacle"].get<std::string>() + "; expected";
  for (const char* command : {"finetune", "sweep"}) {
    std::vector<std::string> words = sweep("1", "2");
    words.front() = command;
    words.insert(words.end(), {"--precision", "bf16"});
    const Result result = run(words);
    EXPECT_EQ(result.status, 1) << command;
    EXPECT_EQ(result.out, "") << command;
    EXPECT_THAT(result.err, HasSubstr(reason)) << command;
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << command << ": " << result.err;
    EXPECT_FALSE(fs::exists(folder_.path / "out")) << command;
  }
  ::unsetenv("ONEDNN_MAX_CPU_ISA");
}

TEST_F(Process, StatusAndStreamsFollowTheContract) {
  const Result good = run({"count", "--model", "roberta-base", "--method", "lora", "--rank", "8"});
  EXPECT_EQ(good.status, 0);
  EXPECT_THAT(good.out, HasSubstr("294912"));
  EXPECT_EQ(good.err, "");
  const Result wrong = run({"count", "--model", "roberta-base", "--method", "lora", "--rank", "0"});
  EXPECT_EQ(wrong.status, 2);
  EXPECT_EQ(wrong.out, "");
  EXPECT_THAT(wrong.err, HasSubstr("'0'"));
  EXPECT_EQ(run({"check", "model", "/nowhere"}).status, 1);
}

TEST_F(Process, APluginAddsAMethodThatCountsAndKeepsTheContract) {
  const std::string plugin = (program_.parent_path() / "gated_pair_plugin.so").string();
  const Result counted = run({"count", "--model", "roberta-base", "--method", "gated_pair",
                              "--rank", "8", "--json", "--plugin", plugin});
  ASSERT_EQ(counted.status, 0) << counted.err;
  EXPECT_EQ(json::parse(counted.out)["adapter"], 24672);
  EXPECT_EQ(run({"check", "method", "gated_pair", "--plugin", plugin}).status, 0);
  EXPECT_EQ(
      run({"count", "--model", "roberta-base", "--method", "gated_pair", "--rank", "8"}).status, 2);
  EXPECT_EQ(run({"methods", "--plugin", "/nowhere.so"}).status, 1);
}

TEST_F(Process, SweepsTrainAndResume) {
  const Result first = run(sweep("1", "1,2"));
  ASSERT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(finished().size(), 2U);
  EXPECT_THAT(first.out, HasSubstr("accuracy"));
  const fs::path kept_run = finished().front();
  const auto written = fs::last_write_time(kept_run);
  std::vector<std::string> grown = sweep("1", "1,2,4");
  grown.insert(grown.end(), {"--jobs", "2", "--json"});
  const Result second = run(grown);
  ASSERT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(finished().size(), 3U);
  EXPECT_EQ(fs::last_write_time(kept_run), written);
  const json document = json::parse(second.out);
  EXPECT_EQ(document["count"], 3);
  for (const json& entry : document["runs"]) {
    EXPECT_EQ(entry["status"], "done");
    const json run = json::parse(read_text(folder_.path / "out" / entry["folder"] / "run.json"));
    EXPECT_EQ(entry["settings"], run["settings"]);
    EXPECT_EQ(entry["rank"], run["settings"]["rank"]);
  }
}

TEST_F(Process, FinetuneAndSweepSayTheSameOfAMissingModel) {
  for (const std::string model : {"nowhere", "roberta-base"}) {
    std::vector<std::string> words = sweep("1", "1");
    *(std::ranges::find(words, "--model") + 1) = model;
    const Result swept = run(words);
    words.front() = "finetune";
    const Result tuned = run(words);
    EXPECT_EQ(swept.status, 1);
    EXPECT_EQ(tuned.status, 1);
    EXPECT_THAT(swept.err, HasSubstr("--model " + model + ": found no such folder"));
    EXPECT_THAT(tuned.err, testing::EndsWith(swept.err));
    EXPECT_FALSE(fs::exists(folder_.path / "out"));
  }
}

TEST_F(Process, AFailedRunHasNoParameters) {
  fs::remove(folder_.path / "tiny" / "vocab.txt");
  const Result result = run(sweep("1", "1"));
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.out, testing::ContainsRegex("tiny +lora +1 +42 +- +failed"));
}

TEST_F(Process, ASweepOutlivesARunThatIsKilled) {
  const std::vector<std::string> words = sweep("300", "1,2");
  const pid_t process = start(words);
  std::vector<pid_t> running;
  ASSERT_TRUE(happens([&] { return !(running = children(process)).empty(); }));
  ::kill(running.front(), SIGKILL);
  const Result result = wait(process);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("ended by signal 9"));
  EXPECT_THAT(result.err, HasSubstr("1 done, 1 failed"));
  EXPECT_EQ(finished().size(), 1U);
  EXPECT_EQ(run(words).status, 0);
  EXPECT_EQ(finished().size(), 2U);
}

TEST_F(Process, ASweepThatIsInterruptedGoesOn) {
  const std::vector<std::string> words = sweep("100", "1,2,4,8");
  const pid_t process = start(words);
  ASSERT_TRUE(happens([&] { return finished().size() == 1; }));
  const std::vector<pid_t> running = children(process);
  ::kill(process, SIGINT);
  const Result result = wait(process);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("the same command goes on"));
  for (const pid_t child : running) EXPECT_NE(::kill(child, 0), 0) << "still runs";
  const std::size_t kept = finished().size();
  EXPECT_GE(kept, 1U);
  EXPECT_LT(kept, 4U);
  const fs::path kept_run = finished().front();
  const auto written = fs::last_write_time(kept_run);
  const Result again = run(words);
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(finished().size(), 4U);
  EXPECT_EQ(fs::last_write_time(kept_run), written);
}

TEST_F(Process, RunsOfASweepShareOneFeatureCacheAndGiveTheSameBitsWhateverTheJobs) {
  const auto run_sweep = [&](const std::string& out, const std::vector<std::string>& more) {
    std::vector<std::string> words = sweep("2", "1,2");
    words.back() = (folder_.path / out).string();
    for (const char* word : {"--layers", "last:1", "--dropout", "0"}) words.emplace_back(word);
    words.insert(words.end(), more.begin(), more.end());
    const Result result = run(words);
    ASSERT_EQ(result.status, 0) << result.err;
  };
  run_sweep("two", {"--cache-features", "--jobs", "2"});
  run_sweep("one", {"--cache-features", "--jobs", "1"});
  run_sweep("plain", {});
  std::size_t features = 0;
  for (const auto& entry : fs::directory_iterator(folder_.path / "two/.features"))
    features += fs::exists(entry.path() / "features");
  EXPECT_EQ(features, 2u) << "one a split";
  for (const std::string rank : {"1", "2"}) {
    const auto epochs = [&](const std::string& out, const std::string& more) {
      const fs::path runs = folder_.path / out / "sst2/tiny/lora/lr=0.01" / ("rank=" + rank);
      json document = json::parse(read_text(runs / more / "seed=42/run.json")).at("epochs");
      for (json& epoch : document) epoch.erase("seconds");
      return document;
    };
    const std::string changed = "batch=8/", end = "dropout=0/epochs=2/layers=last:1/max-length=16";
    const json two = epochs("two", changed + "cache-features=true/" + end),
               one = epochs("one", changed + "cache-features=true/" + end),
               plain = epochs("plain", changed + end);
    EXPECT_EQ(two, one);
    ASSERT_EQ(two.size(), plain.size());
    for (std::size_t i = 0; i < two.size(); ++i) {
      EXPECT_NEAR(two[i]["loss"].get<double>(), plain[i]["loss"].get<double>(), 1e-5);
      EXPECT_NEAR(two[i]["scores"]["accuracy"].get<double>(),
                  plain[i]["scores"]["accuracy"].get<double>(), 1e-4);
    }
  }
  // The same sweep again runs nothing; with a limit it is the same sweep.
  std::vector<std::string> again = sweep("2", "1,2");
  again.back() = (folder_.path / "two").string();
  for (const char* word :
       {"--layers", "last:1", "--dropout", "0", "--cache-features=true", "--cache-limit", "100"})
    again.emplace_back(word);
  EXPECT_THAT(run(again).err, HasSubstr("2 runs, 2 finished before"));
}

TEST_F(Process, FinetuneAndEvaluateAgree) {
  const std::string model = (folder_.path / "tiny").string(),
                    data = (folder_.path / "data").string();
  const std::string out = (folder_.path / "run").string();
  const std::vector<std::string> words = {
      "finetune", "--model",   model, "--data", data,   "--task",   "sst2", "--method",
      "lora",     "--rank",    "2",   "--lr",   "1e-2", "--epochs", "2",    "--max-length",
      "16",       "--threads", "1",   "--out",  out,    "--json"};
  const Result trained = run(words);
  ASSERT_EQ(trained.status, 0) << trained.err;
  const json document = json::parse(trained.out);
  EXPECT_EQ(document["status"], "done");
  EXPECT_EQ(document, json::parse(read_text(out + "/run.json")));
  const Result scored = run({"evaluate", "--model", model, "--adapter", out + "/adapter", "--data",
                             data, "--threads", "1", "--json"});
  ASSERT_EQ(scored.status, 0) << scored.err;
  EXPECT_EQ(json::parse(scored.out)["scores"], document["scores"]);
  const Result merged = run({"merge", "--model", model, "--adapter", out + "/adapter", "--out",
                             out + "/merged", "--json"});
  ASSERT_EQ(merged.status, 0) << merged.err;
  EXPECT_EQ(json::parse(merged.out)["out"], out + "/merged");
  const Result plain = run({"evaluate", "--model", out + "/merged", "--task", "sst2", "--data",
                            data, "--max-length", "16", "--threads", "1", "--json"});
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_EQ(json::parse(plain.out)["scores"], document["scores"]);
}

}  // namespace
}  // namespace rankfold
