// The program itself: what only a process shows.

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "commands/process.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;

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

TEST_F(Process, ASweepNeverMixesRunsOnOtherContentUnderTheSameName) {
  ASSERT_EQ(run(sweep("1", "1")).status, 0);
  const fs::path first = finished().front();
  const std::string before = read_text(first);
  const fs::path rows = folder_.path / "data" / "dev.tsv";
  write_atomically(rows, read_text(rows) + "good w7\t1\n");
  // A run of the sweep, and one beside it that its table would have too.
  for (const char* ranks : {"1,2", "2"}) {
    const Result refused = run(sweep("1", ranks));
    EXPECT_EQ(refused.status, 1) << ranks;
    EXPECT_THAT(refused.err, HasSubstr("/max-length=16/seed=42 is a finished run"));
    EXPECT_THAT(refused.err, HasSubstr("xxh64-"));
    EXPECT_EQ(finished().size(), 1U);
    EXPECT_EQ(read_text(first), before);
  }
  std::vector<std::string> again = sweep("1", "1,2");
  again.emplace_back("--rerun-changed");
  const Result made = run(again);
  EXPECT_EQ(made.status, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("2 runs, 0 finished before"));
  EXPECT_NE(read_text(first), before);
  EXPECT_THAT(run(sweep("1", "1,2")).err, HasSubstr("2 runs, 2 finished before"));
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
  const std::vector<std::string> words = sweep("100", "1,2");
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
  const std::vector<std::string> words = sweep("60", "1,2,4,8");
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
  std::vector<std::string> best = words;
  best.pop_back();
  best.back() = out + "-best";
  for (const char* word : {"--keep", "best", "--keep-by", "loss"}) best.emplace_back(word);
  EXPECT_THAT(run(best).out, HasSubstr(", the best of 2 evaluations by loss; adapter "));
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

  const Result base = run({"unmerge", "--model", out + "/merged", "--adapter", out + "/adapter",
                           "--out", out + "/base", "--json"});
  ASSERT_EQ(base.status, 0) << base.err;
  EXPECT_EQ(json::parse(base.out)["sites"], 4);
  const Result small = run({"compress", "--adapter", out + "/adapter", "--energy", "1", "--threads",
                            "2", "--out", out + "/small", "--json"});
  ASSERT_EQ(small.status, 0) << small.err;
  EXPECT_LT(json::parse(small.out)["relative_error"], 2e-5);
  EXPECT_EQ(json::parse(small.out)["sites"].size(), 4U);
  const Result kept = run({"evaluate", "--model", model, "--adapter", out + "/small", "--data",
                           data, "--threads", "1", "--json"});
  ASSERT_EQ(kept.status, 0) << kept.err;
  EXPECT_EQ(json::parse(kept.out)["scores"], document["scores"]);
  const Result enough = run(
      {"compress", "--adapter", out + "/adapter", "--budget", "100000", "--out", out + "/same"});
  EXPECT_EQ(enough.status, 0);
  EXPECT_THAT(enough.err, testing::HasSubstr("the factors are the adapter's own"));
}

}  // namespace
}  // namespace rankfold
