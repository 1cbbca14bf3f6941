#include "experiments/runs/run_identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/run_files.h"
#include "analysis/tables/score_table.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/runs/parquet.h"
#include "experiments/runs/run_record.h"
#include "experiments/runs/setting_rules.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const fs::path golden = fs::path(RANKFOLD_GOLDEN_DIR) / "tables";

Results settled(const std::vector<fs::path>& places, const RunSelection& selection = {}) {
  Results all;
  for (const fs::path& place : places) {
    Results results = read_results(place);
    std::ranges::move(results.rows, std::back_inserter(all.rows));
    std::ranges::move(results.notes, std::back_inserter(all.notes));
  }
  settle_results(all, selection);
  return all;
}

/// Mean, number of runs and of diverged ones of a table that has one cell for lora.
std::vector<double> only_cell(const std::vector<ResultRow>& rows) {
  ScoreTable table = make_score_table(rows);
  std::erase_if(table.lines, [](const ScoreLine& line) { return line.method != "lora"; });
  if (table.lines.size() != 1 || table.columns.size() != 1) return {};
  const Estimate& estimate = *table.lines[0].cells[0].estimate;
  return {std::round(1e4 * estimate.value.value_or(NAN)) / 100,
          static_cast<double>(table.lines[0].cells[0].scores.size()),
          static_cast<double>(estimate.diverged)};
}

TEST(SettingForms, AreEqualWhereSettingsMeanTheSame) {
  for (const char* text : {"1e-3", "0.001", "0.0010", "1E-03", "+1e-3", " 1.0e-3 "})
    EXPECT_EQ(setting_form("lr", text), "1e-3") << text;
  for (const char* text : {"8", "8.0", "08", "8e0", "'8'"})
    EXPECT_EQ(setting_form("batch", text), "8") << text;
  for (const char* text : {"True", "true", "TRUE"})
    EXPECT_EQ(setting_form("rslora", text), "true") << text;
  for (const char* text : {"q,v", "q, v", "v,q", "['q', 'v']", "[\"v\", \"q\"]", "('q','v')"})
    EXPECT_EQ(setting_form("targets", text), "q,v") << text;
  for (const char* text : {"0,1,2,5", "0-2,5", "5, 2,1,0", "[0, 1, 2, 5]"})
    EXPECT_EQ(setting_form("layers", text), "0-2,5") << text;
  for (const char* text : {"8x4", "(8, 4)", "[8,4]"})
    EXPECT_EQ(setting_form("rank", text), "8x4") << text;
  for (const char* text : {"", " ", "None", "NaN", "nan", "null", "NA", "<NA>"})
    EXPECT_EQ(setting_form("lr", text), "") << text;
}

TEST(SettingForms, DifferWhereSettingsDiffer) {
  EXPECT_NE(setting_form("lr", "1e-3"), setting_form("lr", "1.0000001e-3"));
  EXPECT_NE(setting_form("seed", "18446744073709551614"),
            setting_form("seed", "18446744073709551615"));
  EXPECT_NE(setting_form("lotr.shape", "8,12"), setting_form("lotr.shape", "12,8"));
  EXPECT_NE(setting_form("layers", "first:2"), setting_form("layers", "last:2"));
  EXPECT_NE(setting_form("init", "none"), "");
  EXPECT_EQ(setting_form("name", "a b"), "a b");
}

TEST(SettledRuns, AreTheSameForEveryWayOfWritingATable) {
  EXPECT_THAT(only_cell(settled({golden / "same-run-twice.csv"}).rows), ElementsAre(95, 2, 0));
  EXPECT_THAT(only_cell(settled({golden / "rate-spelled-four-ways.csv"}).rows),
              ElementsAre(92.5, 4, 0));
  if (!parquet_obstacle().empty()) GTEST_SKIP() << parquet_obstacle();
  for (const char* name : {"collected.parquet", "nan-became-null.parquet", "seed-uint64.parquet",
                           "pandas-index.parquet"})
    EXPECT_THAT(only_cell(settled({golden / name}).rows), ElementsAre(85.5, 3, 1)) << name;
}

TEST(SettledRuns, CountColumnsOfAnyTypeOrRefuseThemByName) {
  if (!parquet_obstacle().empty()) GTEST_SKIP() << parquet_obstacle();
  for (const char* name : {"category", "decimal", "float32-rate", "named-index"}) {
    const Results results = settled({golden / (name + std::string(".parquet"))});
    EXPECT_THAT(only_cell(results.rows), ElementsAre(92, 3, 0)) << name;
    for (const auto& [key, value] : results.rows[0].settings)
      EXPECT_EQ(key + " " + value, "lr 1e-3") << name;
  }
  EXPECT_EQ(make_score_table(settled({golden / "precision.parquet"}).rows).lines.size(), 2u);
  EXPECT_THAT(message_of<Error>([] { settled({golden / "list.parquet"}); }),
              AllOf(HasSubstr("list.parquet: column 'targets' is of type list<"),
                    HasSubstr("expected numbers or text")));
  EXPECT_THAT(settled({golden / "twice-differs.parquet"}).notes,
              ElementsAre(HasSubstr("3 runs with several scores at the last step")));
}

class RunFolders : public testing::Test {
 protected:
  nlohmann::json run(int seed, double score = 0.5) const {
    return run_document("sst2", "lora", 8, seed, score);
  }
  void write(const std::string& place, const nlohmann::json& document) const {
    write_run(folder_.path / place, document);
  }
  const TemporaryFolder folder_;
};

TEST_F(RunFolders, CountCopiesOfRunsOnceInTablesFiguresAndReports) {
  for (int seed = 1; seed <= 3; ++seed) {
    write("a/" + std::to_string(seed), run(seed, 0.5 + 0.1 * seed));
    write("backup/a/" + std::to_string(seed), run(seed, 0.5 + 0.1 * seed));
  }
  const Results results = settled({folder_.path});
  EXPECT_EQ(results.rows.size(), 3u);
  EXPECT_THAT(results.notes,
              testing::Each(AllOf(HasSubstr("is the same run as"), HasSubstr("counted once"))));
  const RunRecords records = read_run_records(folder_.path);
  EXPECT_EQ(records.results().size(), 3u);
  EXPECT_EQ(records.notes, results.notes);
  EXPECT_EQ(settled({folder_.path / "a", folder_.path / "backup"}).rows.size(), 3u);
}

TEST_F(RunFolders, RefuseOneRunWithTwoResults) {
  write("a", run(1, 0.5));
  write("b", run(1, 0.6));
  for (const auto& message : {message_of<Error>([&] { settled({folder_.path}); }),
                              message_of<Error>([&] { read_run_records(folder_.path); })})
    EXPECT_THAT(message, AllOf(HasSubstr((folder_.path / "a/run.json").string()),
                               HasSubstr((folder_.path / "b/run.json").string()),
                               HasSubstr("seed 1"), HasSubstr("score 0.5 and 0.6")));
}

TEST_F(RunFolders, NeverMixPrecisionsSplitsModelsOrAnyOtherSettingAsSeeds) {
  for (const auto& [key, one, other] : {std::tuple("precision", "f32", "bf16"),
                                        {"score-on", "dev", "held-out"},
                                        {"optimizer", "adamw", "sgd"},
                                        {"data", "/glue/v1", "/glue/v2"},
                                        {"model", "/v1/m", "/v2/m"},
                                        {"something-new", "a", "b"}}) {
    for (int seed = 1; seed <= 4; ++seed) {
      nlohmann::json document = run(seed, 0.5 + 0.01 * seed);
      document["settings"][key] = seed % 2 == 0 ? one : other;
      write(std::to_string(seed), document);
    }
    const ScoreTable table = make_score_table(settled({folder_.path}).rows);
    ASSERT_EQ(table.lines.size(), 2u) << key;
    EXPECT_NE(table.lines[0].name() + table.lines[0].model,
              table.lines[1].name() + table.lines[1].model)
        << key;
  }
}

TEST_F(RunFolders, KnowModelsAndDataByWhatWasRead) {
  const auto write_run_on = [&](int seed, const std::string& model, const std::string& print,
                                const std::string& rows) {
    nlohmann::json document = run(seed, 0.5);
    document["settings"]["model"] = model;
    document["settings"]["data"] = "/glue";
    document["fingerprints"] = {{"model", print}, {"train", rows}, {"scored", "c"}};
    write(std::to_string(seed), document);
  };
  const auto lines = [&] { return make_score_table(settled({folder_.path}).rows).lines; };
  write_run_on(1, "/a/m", "abc", "a"), write_run_on(2, "/b/m", "abc", "a");
  ASSERT_EQ(lines().size(), 1u);
  EXPECT_EQ(lines()[0].model, "m");
  write_run_on(2, "/a/m", "other", "a");
  ASSERT_EQ(lines().size(), 2u);
  EXPECT_EQ(lines()[0].model, "m@abc");
  write_run_on(2, "/a/m", "abc", "b");
  ASSERT_EQ(lines().size(), 2u);
  EXPECT_THAT(lines()[0].name(), HasSubstr("data=glue@a/c"));
  // Rows of a task that is asked in words are drawn by the seed: others are the same data.
  for (int seed = 1; seed <= 2; ++seed) {
    nlohmann::json document = run(seed, 0.5);
    document["settings"]["data"] = "/glue";
    document["settings"]["scoring"] = "prompt";
    document["fingerprints"] = {
        {"model", "abc"}, {"train", seed == 1 ? "a" : "b"}, {"scored", "c"}};
    write(std::to_string(seed), document);
  }
  ASSERT_EQ(lines().size(), 1u);
}

TEST_F(RunFolders, TakeASettingThatOlderRunsLackForItsDefault) {
  write("old", run(1, 0.5));
  nlohmann::json document = run(2, 0.6);
  document["settings"]["precision"] = "f32";
  document["settings"]["layers"] = "all";
  write("new", document);
  EXPECT_THAT(only_cell(settled({folder_.path}).rows), ElementsAre(55, 2, 0));
  document["settings"]["precision"] = "bf16";
  write("new", document);
  EXPECT_THAT(only_cell(settled({folder_.path}).rows), IsEmpty());
}

TEST_F(RunFolders, ArePickedByWhatTheirSettingsMean) {
  write_runs(folder_.path);
  const auto count = [&](const std::vector<std::string>& where) {
    return settled({folder_.path}, {where, {}}).rows.size();
  };
  EXPECT_EQ(count({"method=lora"}), 6u);
  EXPECT_EQ(count({"method=lora,lotr", "rank=8"}), 6u);
  EXPECT_EQ(count({"seed=1", "seed=2", "lr=0.0010"}), 8u);
  EXPECT_EQ(count({"rank=8.0", "model=tiny"}), 6u);
  const auto refused = [&](const std::string& where) {
    return message_of<Error>([&] { count({where}); });
  };
  EXPECT_THAT(refused("metod=lora"), AllOf(HasSubstr("--where"), HasSubstr("mean 'method'")));
  EXPECT_THAT(refused("lr=0.5"), AllOf(HasSubstr("no run has it"), HasSubstr("found: 1e-3")));
  EXPECT_THAT(refused("lora"), HasSubstr("expected key=value"));
  EXPECT_EQ(read_run_records({folder_.path}, {{"method=lotr"}, {}}).runs.size(), 6u);
}

TEST_F(RunFolders, DoNotDifferInWhatIsIgnored) {
  for (int seed = 1; seed <= 2; ++seed) {
    nlohmann::json document = run(seed, 0.5);
    document["settings"]["threads"] = seed;
    write(std::to_string(seed), document);
  }
  EXPECT_THAT(only_cell(settled({folder_.path}).rows), IsEmpty());
  EXPECT_THAT(only_cell(settled({folder_.path}, {{}, {"threads"}}).rows), ElementsAre(50, 2, 0));
  EXPECT_THAT(message_of<Error>([&] {
                settled({folder_.path}, {{}, {"thread"}});
              }),
              HasSubstr("did you mean 'threads'?"));
}

TEST_F(RunFolders, OfOtherProgramsSayWhichColumnIsTakenForASetting) {
  const fs::path table = folder_.path / "r.csv";
  write_atomically(table,
                   "task,model,method,rank,seed,parameters,metric,score,goodness\n"
                   "sst2,m,lora,8,1,10,accuracy,0.5,3\nsst2,m,lora,8,2,10,accuracy,0.5,4\n");
  EXPECT_THAT(settled({table}).notes, ElementsAre(HasSubstr("--ignore goodness")));
  EXPECT_THAT(settled({table}, {{}, {"goodness"}}).notes, IsEmpty());
}

TEST_F(RunFolders, LeadNowhereElse) {
  const fs::path results = folder_.path / "results", secret = folder_.path / "secret";
  write_atomically(secret / "log.txt", "rankfold: a secret\n");
  write("results/good", run(1));
  nlohmann::json runs = nlohmann::json::array();
  for (const std::string& place : {std::string("../secret"), secret.string(),
                                   std::string("x/../../secret"), std::string("link")})
    runs.push_back({{"folder", place}, {"settings", run(2)["settings"]}});
  write_atomically(results / "sweep.json", nlohmann::json{{"runs", runs}}.dump());
  fs::create_directory_symlink(secret, results / "link");
  const RunRecords records = read_run_records(results);
  for (const RunRecord& record : records.runs)
    EXPECT_EQ(record.reason.find("a secret"), std::string::npos) << record.folder;
  EXPECT_EQ(records.runs.size(), 2u);
  EXPECT_EQ(records.notes.size(), 3u);
}

}  // namespace
}  // namespace rankfold
