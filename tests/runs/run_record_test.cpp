#include "experiments/runs/run_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/run_files.h"
#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class RunRecordsOf : public testing::Test {
 protected:
  RunRecords read() const { return read_run_records(folder_.path); }
  /// The record of a folder, which must be there once.
  static RunRecord find(const RunRecords& records, const std::string& folder) {
    std::vector<RunRecord> found;
    for (const RunRecord& run : records.runs)
      if (run.folder == folder) found.push_back(run);
    EXPECT_EQ(found.size(), 1u) << folder;
    return found.empty() ? RunRecord() : found[0];
  }
  void write(const std::string& name, const std::string& text) const {
    write_atomically(folder_.path / name, text);
  }
  const TemporaryFolder folder_;
};

using AFolder = RunRecordsOf;
using ATable = RunRecordsOf;

TEST_F(AFolder, TellsSettingsCountsMeasuresMachineAndVersions) {
  write_run(folder_.path / "a/b", run_document("sst2", "lora", 8, 1, 0.75));
  const RunRecord run = find(read(), "a/b");
  EXPECT_EQ(run.status, "done");
  EXPECT_EQ(run.reason, "");
  EXPECT_EQ(run.row.score, 0.75);
  EXPECT_EQ(run.row.model, "tiny");
  EXPECT_EQ(run.row.trainable, 8002);
  EXPECT_EQ(run.total, 50000);
  EXPECT_EQ(run.row.train_seconds, 12.5);
  EXPECT_EQ(run.settings.at("lr"), "1e-3");
  EXPECT_EQ(run.settings.at("model"), "models/tiny");
  EXPECT_EQ(run.machine, "a machine");
  EXPECT_EQ(run.versions.at("rankfold"), "0.1.0");
}

TEST_F(AFolder, KeepsDivergedAndFailedRunsWithTheirReasons) {
  write_run(folder_.path / "done", run_document("sst2", "lora", 8, 1, 0.75));
  json run = run_document("sst2", "lora", 8, 2, 0);
  run["scores"] = json::object();
  run["status"] = "diverged";
  run["error"] = "the loss is NaN";
  run["failed_step"] = 7;
  write_run(folder_.path / "diverged", run);
  run["status"] = "failed";
  run["error"] = "no\nmemory";
  run.erase("failed_step");
  write_run(folder_.path / "failed", run);
  const RunRecords records = read();
  EXPECT_EQ(records.results().size(), 2u);
  const RunRecord diverged = find(records, "diverged"), failed = find(records, "failed");
  EXPECT_EQ(diverged.reason, "the loss is NaN, at step 7");
  EXPECT_TRUE(diverged.row.score && std::isnan(*diverged.row.score));
  EXPECT_EQ(diverged.row.metric, "accuracy");
  EXPECT_EQ(failed.status, "failed");
  EXPECT_EQ(failed.reason, "no\\nmemory");
  EXPECT_EQ(failed.row.method, "lora");
  EXPECT_FALSE(failed.row.score);
}

TEST_F(AFolder, HasTheRunsThatASweepListsAndThatLeftNothingBehind) {
  write_run(folder_.path / "s/done", run_document("sst2", "lora", 8, 1, 0.75));
  json runs = json::array();
  for (const char* name : {"done", "died", "works", "later"})
    runs.push_back({{"folder", name}, {"settings", {{"method", "lotr"}, {"task", "rte"}}}});
  write("s/sweep.json", json({{"kind", "train"}, {"runs", runs}}).dump());
  write("s/died/log.txt", "epoch 1\rrankfold: the disk is full\n\n");
  write("s/works/log.txt", "epoch 1\nepoch 2");
  const RunRecords records = read();
  EXPECT_EQ(records.runs.size(), 4u);
  const RunRecord died = find(records, "s/died"), works = find(records, "s/works"),
                  later = find(records, "s/later");
  EXPECT_EQ(died.status, "failed");
  EXPECT_EQ(died.reason, "last line of its log: rankfold: the disk is full");
  EXPECT_EQ(works.status, "unfinished");
  EXPECT_EQ(works.reason, "last line of its log: epoch 2");
  EXPECT_EQ(later.status, "unfinished");
  EXPECT_EQ(later.reason, "not started");
  EXPECT_EQ(later.row.method, "lotr");
  EXPECT_EQ(find(records, "s/done").row.method, "lora");
}

TEST_F(AFolder, NamesRunsThatAreNotAsTheyShouldBeAndReadsTheOthers) {
  write_run(folder_.path / "good", run_document("sst2", "lora", 8, 1, 0.75));
  write("text/run.json", "no JSON");
  write("cut/run.json", "{\"status\": \"do");
  write("list/run.json", "[1, 2]");
  write("deep/run.json", std::string(100000, '[') + std::string(100000, ']'));
  write("bytes/run.json", "{\"status\": \"\xff\"}");
  json run = run_document("sst2", "lora", 8, 1, 0.75);
  run["scores"] = "high";
  write_run(folder_.path / "types", run);
  run = run_document("sst2", "lora", 8, 1, 0.75);
  run["settings"] = {1, 2};
  write_run(folder_.path / "settings", run);
  run["status"] = nullptr;
  write_run(folder_.path / "status", run);
  write("sweep.json", "{");
  const RunRecords records = read();
  EXPECT_EQ(records.results().size(), 1u);
  EXPECT_EQ(records.runs.size(), 10u);
  for (const char* name : {"text", "cut", "list", "deep", "bytes", "types", "settings", "status"}) {
    const RunRecord bad = find(records, name);
    EXPECT_EQ(bad.status, "unreadable") << name;
    EXPECT_THAT(bad.reason, testing::StartsWith("run.json: ")) << name;
  }
  EXPECT_THAT(find(records, "types").reason, AllOf(HasSubstr("scores"), HasSubstr("high")));
  EXPECT_THAT(find(records, "deep").reason, HasSubstr("deeper than 64 levels"));
  EXPECT_THAT(find(records, ".").reason, HasSubstr("sweep.json: is not valid JSON"));
}

TEST_F(AFolder, WithoutRunsIsAnError) {
  const auto message = [&](const std::filesystem::path& results) {
    return message_of<Error>([&] { read_run_records(results); });
  };
  EXPECT_THAT(message(folder_.path),
              AllOf(HasSubstr(folder_.path.string()), HasSubstr("found no run.json")));
  EXPECT_THAT(message(folder_.path / "missing"), HasSubstr("missing: not found"));
}

TEST_F(ATable, GivesARecordForEachRow) {
  write("results.csv",
        "task,model,method,rank,seed,parameters,metric,score,lr,max-train\n"
        "sst2,m,lora,8,1,8000,accuracy,0.75,1e-3,600\n"
        "sst2,m,lora,8,2,8000,accuracy,nan,1e-3,600\n");
  const RunRecords records = read_run_records(folder_.path / "results.csv");
  EXPECT_TRUE(records.is_table);
  ASSERT_EQ(records.runs.size(), 2u);
  EXPECT_EQ(records.runs[0].folder, "results.csv:2");
  EXPECT_EQ(records.runs[0].settings.at("lr"), "1e-3");
  EXPECT_EQ(records.runs[0].settings.at("max-train"), "600");
  EXPECT_EQ(records.runs[1].status, "diverged");
}

TEST_F(ATable, OfCountsOrFitsStandsForTheFolderOfItsSweep) {
  write("counts.csv", "model,method,rank,adapter,trainable\ntiny,lora,8,8000,8002\n");
  EXPECT_EQ(read().runs.at(0).row.parameters, 8000);
  write("fits.csv",
        "task,model,method,rank,seed,parameters,metric,score\n"
        "fit,tiny,lora,8,1,8000,relative_error,0.5\n");
  EXPECT_EQ(read().runs.at(0).row.metric, "relative_error");
}

}  // namespace
}  // namespace rankfold
