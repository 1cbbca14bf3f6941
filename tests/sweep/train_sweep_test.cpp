#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "source_paths.h"
#include "sweep/train_sweep_fixture.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

TEST_F(TrainSweep, RunsWhatIsOpenAndNothingElse) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1,2\n");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_TRUE(run(runs));
  for (const SweepRun& finished : runs) {
    EXPECT_EQ(finished.state, RunState::finished);
    EXPECT_THAT(read_text(finished.folder / "log.txt"), HasSubstr("the last words"));
    EXPECT_THAT(read_text(finished.folder / "calls"), HasSubstr("--threads=1"));
  }
  EXPECT_THAT(read_text(out_ / "sweep.json"), HasSubstr("\"kind\": \"train\""));
  std::vector<SweepRun> again = plan("method = lora\nrank = 1,2,4\n");
  EXPECT_EQ(again[0].state, RunState::finished);
  EXPECT_EQ(again[1].state, RunState::finished);
  EXPECT_EQ(again[2].state, RunState::open);
  EXPECT_TRUE(run(again));
  const std::string calls = read_text(again[0].folder / "calls");
  EXPECT_EQ(std::ranges::count(calls, '\n'), 1);
}

TEST_F(TrainSweep, FindsFinishedRunsWhenASettingBeginsToVary) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  std::vector<SweepRun> grown = plan("method = lora\nrank = 1\nbatch = 16, 32\n");
  ASSERT_EQ(grown.size(), 2U);
  EXPECT_EQ(grown[0].state, RunState::open);
  EXPECT_THAT(grown[0].folder.string(), HasSubstr("batch=16"));
  EXPECT_EQ(grown[1].state, RunState::finished);
  EXPECT_EQ(grown[1].folder, runs[0].folder);
  run(grown);
  // And when it no longer varies.
  EXPECT_EQ(plan("method = lora\nrank = 1\nbatch = 16\n")[0].state, RunState::finished);
}

TEST_F(TrainSweep, FindsARunOfAnOlderVersionThatLacksASetting) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  const fs::path file = runs[0].folder / "run.json";
  auto document = nlohmann::json::parse(read_text(file));
  document["settings"].erase("score-on");
  document["settings"].erase("precision");
  document["settings"].erase("lora.rslora");
  document.erase("resolved");
  write_atomically(file, document.dump());
  EXPECT_EQ(plan("method = lora\nrank = 1\n")[0].state, RunState::finished);
  EXPECT_EQ(plan("method = lora\nrank = 1\nlora.rslora = true\n")[0].state, RunState::open);
  document["settings"]["of-a-newer-version"] = 1;
  write_atomically(file, document.dump());
  EXPECT_THAT(message_of<Error>([&] { plan("method = lora\nrank = 1\n"); }),
              HasSubstr("other settings"));
}

TEST_F(TrainSweep, FindsARunHoweverItsFoldersAreTyped) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  fs::create_directory_symlink(folder_.path / "tiny", folder_.path / "link");
  for (const std::string typed :
       {"/tiny/", "/./tiny", "//tiny", "/data/../tiny", "/link", "/link/../tiny"}) {
    const std::string before = lines_;
    lines_.replace(lines_.find("/tiny"), 5, typed);
    EXPECT_EQ(plan("method = lora\nrank = 1\n")[0].state, RunState::finished) << typed;
    lines_ = before;
  }
  const fs::path here = fs::current_path();
  fs::current_path(folder_.path);
  lines_ = "model = tiny\ndata = data\ntask = sst2\nlr = 1e-3\nmax-length = 32\n";
  EXPECT_EQ(plan("method = lora\nrank = 1\n")[0].state, RunState::finished);
  fs::current_path(here);
}

TEST_F(TrainSweep, LetsItsRunsShareAFolderOfFeatures) {
  const std::string grid =
      "method = lora, none\nrank = 1,2\nlayers = last:1\ndropout = 0\ncache-features = true\n";
  std::vector<SweepRun> runs = plan(grid);
  ASSERT_EQ(runs.size(), 3U);
  for (const SweepRun& planned : runs) {
    EXPECT_EQ(planned.given.text("cache-dir"), (out_ / ".features").string());
    EXPECT_THAT(planned.folder.string(), HasSubstr("cache-features=true"));
    EXPECT_THAT(planned.folder.string(), testing::Not(HasSubstr("cache-dir")));
  }
  run(runs);
  EXPECT_THAT(read_text(runs[0].folder / "calls"),
              testing::AllOf(HasSubstr("--cache-features=true"),
                             HasSubstr("--cache-dir=" + (out_ / ".features").string())));
  // Where the features are does not tell runs apart.
  for (const SweepRun& again : plan(grid + "cache-dir = /elsewhere\ncache-limit = 1, 2\n"))
    EXPECT_EQ(again.state, RunState::finished);
  const std::string without = grid.substr(0, grid.find("cache-features"));
  for (const SweepRun& other : plan(without)) EXPECT_EQ(other.state, RunState::open);
}

TEST_F(TrainSweep, RefusesFeaturesThatChangeBeforeAnythingRuns) {
  const auto refusal = [&](const std::string& more) {
    return message_of<UsageError>(
        [&] { plan("method = lora\nrank = 1\ncache-features = true\n" + more); });
  };
  // The tiny model has the dropout that BERT has where config.json tells none.
  EXPECT_THAT(refusal("layers = last:1\n"), HasSubstr("expected --dropout 0"));
  EXPECT_THAT(refusal("layers = last:1\ndropout = 0.1\n"), HasSubstr("expected --dropout 0"));
  EXPECT_THAT(refusal("dropout = 0\n"),
              testing::AllOf(HasSubstr("--layers last:N"), HasSubstr("lora rank 1")));
  EXPECT_THAT(refusal("layers = last:1\ndropout = 0\ntrain = norms\n"), HasSubstr("norms"));
  EXPECT_EQ(refusal("layers = last:1\ndropout = 0\n"), "");
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(TrainSweep, ListsTheRunsOfAllItsCalls) {
  const auto listed = [&] {
    std::vector<std::string> ranks;
    const auto document = nlohmann::json::parse(read_text(out_ / "sweep.json"));
    for (const auto& entry : document.at("runs"))
      ranks.push_back(entry.at("settings").at("rank").dump());
    return ranks;
  };
  std::vector<SweepRun> large = plan("method = lora\nrank = 1,2,4\n");
  run(large);
  std::vector<SweepRun> small = plan("method = lora\nrank = 2\n");
  run(small);
  EXPECT_THAT(listed(), testing::ElementsAre("1", "4", "2"));
  fs::remove_all(large[0].folder);
  run(small);
  EXPECT_THAT(listed(), testing::ElementsAre("4", "2"));
  for (const char* broken : {"", "{\"runs\": 3}", "{\"runs\": [1, {\"folder\": 2}]}"}) {
    write_atomically(out_ / "sweep.json", broken);
    run(small);
    EXPECT_THAT(listed(), testing::ElementsAre("2"));
  }
}

TEST_F(TrainSweep, TriesFailedRunsAgainAndKeepsDivergedOnes) {
  std::vector<SweepRun> failing = plan("method = lora\nrank = 1\n");
  run(failing, "failed", 1);
  EXPECT_EQ(failing[0].state, RunState::failed);
  EXPECT_EQ(failing[0].reason, "the last words");
  EXPECT_EQ(plan("method = lora\nrank = 1\n")[0].state, RunState::open);
  std::vector<SweepRun> diverging = plan("method = lora\nrank = 2\n");
  run(diverging, "diverged", 1);
  EXPECT_EQ(diverging[0].state, RunState::diverged);
  EXPECT_EQ(plan("method = lora\nrank = 2\n")[0].state, RunState::diverged);
}

TEST_F(TrainSweep, NeverTakesAHalfWrittenRunForFinished) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  const std::string whole = read_text(runs[0].folder / "run.json");
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, whole.size() / 2, whole.size() - 3}) {
    write_atomically(runs[0].folder / "run.json", whole.substr(0, size));
    EXPECT_EQ(plan("method = lora\nrank = 1\n")[0].state, RunState::open) << size;
  }
  fs::remove(runs[0].folder / "run.json");
  EXPECT_EQ(plan("method = lora\nrank = 1\n")[0].state, RunState::open);
}

TEST_F(TrainSweep, DoesNotBelieveASuccessWithoutAResult) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  TrainSweepOptions options;
  options.program = {"/bin/true"};
  EXPECT_TRUE(run_sweep(runs, out_, registry_, options));
  EXPECT_EQ(runs[0].state, RunState::failed);
}

TEST_F(TrainSweep, OneFailureDoesNotStopTheOthers) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1,2,4\n");
  fs::create_directories(runs[1].folder);
  std::vector<SweepRun> copy = runs;
  TrainSweepOptions options;
  options.program = {"/bin/sh", "-c", "case \"$*\" in *--rank=2*) kill -9 $$;; esac; exit 1", "sh"};
  std::size_t ended = 0;
  options.ended = [&](const SweepRun&) { ++ended; };
  EXPECT_TRUE(run_sweep(copy, out_, registry_, options));
  EXPECT_EQ(ended, 3U);
  EXPECT_EQ(copy[1].reason, "ended by signal 9 (Killed)");
  EXPECT_EQ(copy[2].reason, "exit status 1");
}

TEST_F(TrainSweep, RefusesAFolderWithOtherResults) {
  std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  run(runs);
  fs::create_directories(folder_.path / "other");
  const std::string before = lines_;
  lines_.replace(lines_.find("/data"), 5, "/other");
  EXPECT_THAT(message_of<Error>([&] { plan("method = lora\nrank = 1\n"); }), HasSubstr("data is"));
  lines_ = before;
  fs::remove(out_ / "sweep.json");
  write_atomically(out_ / "counts.csv", "model\n");
  EXPECT_THAT(message_of<Error>([&] { plan("method = lora\nrank = 1\n"); }),
              HasSubstr("kind count"));
}

TEST_F(TrainSweep, RefusesModelsThatWouldShareAFolder) {
  write_tiny_model(folder_.path / "more" / "tiny");
  lines_.replace(lines_.find('\n'), 1, ", " + (folder_.path / "more" / "tiny").string() + "\n");
  EXPECT_THAT(message_of<UsageError>([&] { plan("method = lora\nrank = 1\n"); }),
              HasSubstr("share the folder"));
}

TEST_F(TrainSweep, TablesOfOneNameHaveFoldersOfTheirOwn) {
  const fs::path first = folder_.path / "one" / "reviews.csv",
                 second = folder_.path / "two" / "reviews.csv";
  for (const fs::path& file : {first, second})
    write_atomically(file, "text,label\na,x\nb,y\nc,z\n");
  lines_.replace(lines_.find("sst2"), 4, first.string() + ", " + second.string());
  const std::vector<SweepRun> runs = plan("method = lora\nrank = 1\n");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_NE(runs[0].folder, runs[1].folder);
  EXPECT_EQ(runs[0].given.text("task"), "reviews");
  EXPECT_EQ(runs[0].given.text("data"), first.string());
  EXPECT_THAT(runs[0].folder.string(), HasSubstr("/reviews/tiny/lora/"));
  write_atomically(second, "text,labels\na,x\nb,y\n");
  EXPECT_THAT(message_of<Error>([&] { plan("method = lora\nrank = 1\n"); }),
              HasSubstr("two/reviews.csv:1: found columns"));
}

TEST_F(TrainSweep, ChecksEveryRunBeforeTheFirst) {
  const auto refusal = [&](const std::string& more) {
    return message_of<Error>([&] { plan(more); });
  };
  EXPECT_THAT(refusal("method = lora\nrank = 1, 33\n"), HasSubstr("lora rank 33"));
  EXPECT_THAT(refusal("method = lora\nrank = 1\ntargets = gate\n"), HasSubstr("gate"));
  EXPECT_THAT(refusal("method = lora\nrank = 1\nlayers = all; 2\n"), HasSubstr("layer 2"));
  EXPECT_THAT(refusal("method = lora\n"), HasSubstr("rank"));
  EXPECT_THAT(refusal("method = lora\nrank = 1\nepochs = 0\n"), HasSubstr("--epochs"));
  EXPECT_THAT(refusal("method = lora\nrank = 1\npreset = peff\n"), HasSubstr("peft"));
  EXPECT_THAT(refusal("method = lotr\nrank = 1\nlotr.stack = both\n"), HasSubstr("both"));
  lines_.replace(lines_.find("sst2"), 4, "sst3");
  EXPECT_THAT(refusal("method = lora\nrank = 1\n"), HasSubstr("sst3"));
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(TrainSweep, ChecksTrainersBeforeTheFirstRun) {
  const auto refusal = [&](const std::string& more) {
    return message_of<UsageError>([&] { plan("method = lora\nrank = 1\n" + more); });
  };
  EXPECT_THAT(refusal("optimizer = adamw, zo-sgd\nclip = 0, 1\n"),
              testing::AllOf(HasSubstr("--clip is 1; zo-sgd"), HasSubstr("lora rank 1")));
  EXPECT_THAT(refusal("optimizer = zo-sgd, sgd\nbeta1 = 0.8\n"),
              HasSubstr("--beta1 is 0.8, which is for --optimizer adamw, adam or zo-adam; "
                        "expected 0.9 with --optimizer zo-sgd"));
  EXPECT_THAT(refusal("targets = everything\ntrain = norms\n"), HasSubstr("--targets everything"));
  EXPECT_THAT(refusal("schedule = polynomial\nlora.lr = 1e-3, 1e-8\n"),
              HasSubstr("--lr-end is 1e-7; expected at most --lr"));
  EXPECT_FALSE(fs::exists(out_));
}

TEST_F(TrainSweep, GivesASettingToTheRunsThatReadIt) {
  const std::vector<SweepRun> found =
      plan("method = lora\nrank = 1\noptimizer = adamw, sgd\nbeta1 = 0.8, 0.7\nseed = 1\n");
  std::vector<std::string> told;
  for (const SweepRun& run : found)
    told.push_back(run.given.text("optimizer") + " " + run.given.text("beta1"));
  EXPECT_THAT(told, testing::ElementsAre("adamw 0.8", "adamw 0.7", "sgd 0.9"));
}

TEST_F(TrainSweep, ChecksModelAndDataAndLength) {
  lines_.replace(lines_.find("max-length = 32"), 15, "max-length = 65");
  EXPECT_THAT(message_of<Error>([&] { plan("method = none\n"); }), HasSubstr("64 positions"));
  lines_.replace(lines_.find("/data"), 5, "/dada");
  EXPECT_THAT(message_of<Error>([&] { plan("method = none\n"); }), HasSubstr("/dada: found no"));
  lines_.replace(lines_.find("/tiny"), 5, "/none");
  EXPECT_THAT(message_of<Error>([&] { plan("method = none\n"); }), HasSubstr("/none: found no"));
  EXPECT_EQ(message_of<UsageError>([&]() -> void {
              try {
                plan("method = none\n");
              } catch (const UsageError&) {
                throw;
              } catch (const Error&) {
              }
            }),
            "")
      << "a missing folder is a failure, not wrong usage";
}

TEST_F(TrainSweep, TrainsATensorTrainHeadWithAndWithoutARank) {
  EXPECT_EQ(plan("method = none, full, lora\nrank = 1\ntrain = tt-head\n").size(), 3U);
  EXPECT_THAT(message_of<UsageError>([&] { plan("method = none\ntrain = head,tt-head\n"); }),
              HasSubstr("head is the whole head"));
}

/// Another model's default would be one word for two selections.
TEST_F(TrainSweep, NamesTheTargetsThatAModelDecides) {
  std::filesystem::copy_file(
      std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "models/deberta/config.json",
      folder_.path / "tiny/config.json", std::filesystem::copy_options::overwrite_existing);
  const std::vector<SweepRun> fused = plan("method = lora, tenslora, none\nrank = 2\n");
  ASSERT_EQ(fused.size(), 3U);
  EXPECT_EQ(fused[0].given.text("targets"), "in_proj");
  EXPECT_NE(fused[0].folder.string().find("targets=in_proj"), std::string::npos);
  EXPECT_EQ(fused[1].given.text("targets"), "");  // q,k,v, the method's
  EXPECT_EQ(fused[2].given.text("targets"), "");
  EXPECT_EQ(plan("method = lora\nrank = 2\ntargets = q,v\n")[0].given.text("targets"), "q,v");
}

TEST_F(TrainSweep, WorksAloneInItsFolder) {
  std::vector<SweepRun> slow = plan("method = lora\nrank = 1\n"), other = plan("method = none\n");
  TrainSweepOptions options;
  options.program = {"/bin/true"};  // what it leaves undone does not matter
  std::string message;
  options.ended = [&](const SweepRun&) {
    message = message_of<Error>([&] { run_sweep(other, out_, registry_, {}); });
  };
  run_sweep(slow, out_, registry_, options);
  EXPECT_THAT(message, HasSubstr("another sweep"));
}

}  // namespace
}  // namespace rankfold
