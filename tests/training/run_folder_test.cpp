#include "experiments/training/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A folder with a finished run in it, and attempts to run again there.
class EarlierRun : public Workplace {
 protected:
  EarlierRun() { run(settings()); }

  RunResult run(const RunSettings& wanted, const FinetuneOptions& options = {}) const {
    return finetune(wanted, out(), builtin_registry(), options);
  }
  std::string error(const RunSettings& wanted, bool force = false) const {
    FinetuneOptions options;
    options.force = force;
    return error_of([&] { run(wanted, options); });
  }
  RunSettings other() const {
    RunSettings wanted = settings();
    wanted.values["lr"] = "2e-3";
    return wanted;
  }
  fs::path out() const { return folder / "out"; }
  /// Every file below the folder with its content.
  std::map<fs::path, std::string> content() const {
    std::map<fs::path, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(out()))
      if (entry.is_regular_file()) files[entry.path()] = read_text(entry.path());
    return files;
  }
};

TEST_F(EarlierRun, StaysWhereTheNextOneIsRefused) {
  const auto before = content();
  RunSettings wrong = settings();
  wrong.values["targets"] = "nonsense";
  EXPECT_THAT(error(wrong, true), HasSubstr("nonsense"));
  wrong = settings();
  wrong.values["method"] = "lorra";
  EXPECT_THAT(error(wrong, true), HasSubstr("lorra"));
  wrong = settings();
  wrong.values["max-length"] = "65";
  EXPECT_THAT(error(wrong, true), HasSubstr("--max-length"));
  wrong = settings();
  wrong.values["data"] = (folder / "nowhere").string();
  EXPECT_THAT(error(wrong, true), HasSubstr("nowhere"));
  EXPECT_TRUE(content() == before);
}

TEST_F(EarlierRun, StaysWhereTheNextOneFails) {
  const auto before = content();
  fs::remove(folder / "data/dev.tsv");
  EXPECT_THAT(error(other(), true), HasSubstr("dev.tsv"));
  EXPECT_TRUE(content() == before);
}

TEST_F(EarlierRun, StaysWhereTheNextOneIsStopped) {
  const auto before = content();
  for (const std::size_t last : {1U, 9U, 10U}) {
    FinetuneOptions options;
    options.force = true;
    std::size_t step = 0;
    options.progress = [&](const TrainingProgress& progress) { step = progress.step; };
    options.stop_requested = [&] { return step == last; };
    EXPECT_THAT(error_of([&] { run(other(), options); }), HasSubstr("stopped")) << last;
    EXPECT_TRUE(content() == before) << last;
  }
}

TEST_F(EarlierRun, IsReplacedAsAWholeAtTheEnd) {
  write_atomically(out() / "notes.txt", "mine");
  write_atomically(out() / "adapter/README.md", "mine");
  FinetuneOptions options;
  options.force = true;
  const auto before = content();
  options.progress = [&](const TrainingProgress&) {
    for (const auto& [file, text] : before) EXPECT_TRUE(read_text(file) == text) << file;
  };
  const RunResult result = run(other(), options);
  EXPECT_EQ(read_run(out() / "run.json").settings, result.settings);
  EXPECT_EQ(content().size(), before.size()) << "one event file, no leftovers";
  EXPECT_EQ(read_text(out() / "notes.txt"), "mine");
  EXPECT_EQ(read_text(out() / "adapter/README.md"), "mine");
  options.progress = {};
  run(settings("none", ""), options);
  EXPECT_EQ(content().size(), before.size());
}

TEST_F(EarlierRun, GivesWayToOneThatDiverges) {
  RunSettings wild = settings();
  wild.values["lr"] = "1e9";
  FinetuneOptions options;
  options.force = true;
  EXPECT_EQ(run(wild, options).status, "diverged");
  EXPECT_EQ(read_run(out() / "run.json").status, "diverged");
  EXPECT_FALSE(fs::exists(out() / "adapter/adapter_config.json"));
}

TEST_F(EarlierRun, ThatCannotBeReadIsRepeatedButNotReplacedByAnother) {
  const std::string whole = read_text(out() / "run.json");
  write_atomically(out() / "run.json", whole.substr(0, whole.size() / 2));
  const auto before = content();
  EXPECT_THAT(error(other()), HasSubstr("run.json: is not valid JSON"));
  EXPECT_THAT(error(other()), HasSubstr("not written over"));
  EXPECT_TRUE(content() == before);
  std::vector<std::string> messages;
  FinetuneOptions options;
  options.message = [&](const std::string& line) { messages.push_back(line); };
  EXPECT_EQ(run(settings(), options).status, "done");
  EXPECT_THAT(messages, testing::Contains(HasSubstr("the run is repeated")));
  write_atomically(out() / "run.json", "{");
  EXPECT_EQ(error(other(), true), "");
}

TEST_F(EarlierRun, LeavesOfADeadProcessAreRemoved) {
  fs::create_directories(out() / ".rankfold-tmp-0123456789abcdef");
  write_atomically(out() / "adapter/.rankfold-tmp-1-0", "half");
  FinetuneOptions options;
  options.force = true;
  const std::size_t files = content().size();
  run(other(), options);
  EXPECT_FALSE(fs::exists(out() / ".rankfold-tmp-0123456789abcdef"));
  EXPECT_EQ(content().size(), files - 1);
}

class ForeignFiles : public Workplace {
 protected:
  std::string error(bool force) const {
    FinetuneOptions options;
    options.force = force;
    return error_of([&] { finetune(settings(), out(), builtin_registry(), options); });
  }
  fs::path out() const { return folder / "out"; }
};

TEST_F(ForeignFiles, UnderTheNamesOfARunAreRefusedAndStay) {
  EventWriter(folder / "events").scalar("loss", 1, 1);
  std::string events;
  for (const auto& entry : fs::directory_iterator(folder / "events"))
    events = read_text(entry.path());
  const std::map<std::string, std::string> foreign = {
      {"run.json", "{\"my\": \"results\"}"},
      {"adapter/adapter_config.json", "{\"peft_type\": \"LORA\"}"},
      {"adapter/adapter_model.safetensors", "not even one"},
      {"events.out.tfevents.1.host.1.0", events},
      {"events.out.tfevents.2.host",
       "no event file at all, but of some length: more than a record"},
      {"events.out.tfevents.3.host", "notes"},
  };
  for (const auto& [name, text] : foreign) {
    write_atomically(out() / name, text);
    for (const bool force : {false, true}) {
      EXPECT_THAT(error(force), HasSubstr((out() / name).string())) << name;
      EXPECT_EQ(read_text(out() / name), text);
    }
    fs::remove_all(out());
  }
}

TEST_F(ForeignFiles, BesideAFinishedRunStayToo) {
  finetune(settings(), out(), builtin_registry());
  write_atomically(out() / "events.out.tfevents.1.host.1.0", std::string(100, 'x'));
  EXPECT_THAT(error(true), HasSubstr("events.out.tfevents.1.host.1.0"));
  EXPECT_EQ(read_run(out() / "run.json").status, "done");
  EXPECT_EQ(error(false), "") << "it is finished already";
}

TEST_F(ForeignFiles, OfOtherNamesAreNobodysBusiness) {
  write_atomically(out() / "log.txt", "x");
  write_atomically(out() / "notes/run.json", "x");
  EXPECT_EQ(error(false), "");
  EXPECT_EQ(read_text(out() / "notes/run.json"), "x");
}

TEST_F(ForeignFiles, NoFolderStaysBehindARunThatDidNotBegin) {
  fs::remove(folder / "model/vocab.txt");
  FinetuneOptions options;
  options.stop_requested = [] { return true; };
  EXPECT_THAT(error_of([&] { finetune(settings(), out(), builtin_registry(), options); }),
              HasSubstr("stopped"));
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(ForeignFiles, OfAnotherOwnerKeepTheFolder) {
  fs::create_directories(out());
  const FolderLock lock(out());
  EXPECT_THAT(error(false), HasSubstr(out().string() + ": is in use"));
  EXPECT_TRUE(fs::is_empty(out()));
}

}  // namespace
}  // namespace rankfold
