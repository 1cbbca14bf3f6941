#include "analysis/score_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "analysis/score_sheets.h"
#include "core/error.h"
#include "figure_rows.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

ResultRow run(const std::string& method, const std::string& rank, int seed, double score,
              std::int64_t parameters = 100, const std::string& task = "sst2") {
  ResultRow row = result(task, method, rank, seed, parameters, score);
  row.origin = fmt::format("{}:{}:{}:{}", method, rank, task, seed);
  return row;
}

std::vector<ResultRow> runs(const std::string& method, const std::string& rank,
                            const std::vector<double>& scores, std::int64_t parameters = 100,
                            const std::string& task = "sst2") {
  std::vector<ResultRow> rows;
  for (std::size_t i = 0; i < scores.size(); ++i)
    rows.push_back(run(method, rank, static_cast<int>(i), scores[i], parameters, task));
  return rows;
}

std::vector<ResultRow> together(const std::vector<std::vector<ResultRow>>& parts) {
  std::vector<ResultRow> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::string refusal(const std::vector<ResultRow>& rows) {
  return message_of<Error>([&] { make_score_table(rows); });
}

TEST(ScoreTable, HasALineForWhatDiffersInMoreThanTaskAndSeed) {
  std::vector<ResultRow> rows =
      together({runs("lora", "8", {0.8, 0.9}), runs("lora", "2", {0.7}, 25)});
  rows.push_back(run("lora", "8", 0, 0.6, 100));
  rows.back().settings["lr"] = "0.001";
  for (std::size_t i = 0; i < 3; ++i) rows[i].settings["lr"] = "0.01";
  const ScoreTable table = make_score_table(rows);
  std::vector<std::string> names;
  for (const ScoreLine& line : table.lines) names.push_back(line.name());
  EXPECT_THAT(names, ElementsAre("lora 8, lr=0.001", "lora 2, lr=0.01", "lora 8, lr=0.01"));
}

TEST(ScoreTable, KeepsOneLineOverTasksThatHaveSettingsOfTheirOwn) {
  std::vector<ResultRow> rows =
      together({runs("lora", "8", {0.8, 0.9}), runs("lora", "8", {0.5, 0.6}, 100, "rte")});
  for (ResultRow& row : rows) row.settings["lr"] = row.task == "rte" ? "0.001" : "0.01";
  const ScoreTable table = make_score_table(rows);
  ASSERT_EQ(table.lines.size(), 1U);
  ASSERT_EQ(table.columns.size(), 2U);
  EXPECT_EQ(table.columns[0].task, "rte");
  EXPECT_NEAR(*table.lines[0].cells[0].estimate->value, 0.55, 1e-12);
  EXPECT_NEAR(*table.lines[0].mean->value, 0.7, 1e-12);
}

TEST(ScoreTable, LeavesTheIntervalOfOneRunUnknownAndCountsDivergedOnes) {
  const ScoreTable table = make_score_table(together(
      {runs("lora", "8", {0.8}), runs("lotr", "8", {0.7, nan, 0.9}), runs("map", "8", {nan})}));
  EXPECT_FALSE(table.lines[0].cells[0].estimate->interval);
  const Sheet sheet = score_sheet(table, 1).sheet;
  std::vector<std::string> shown;
  for (const auto& row : sheet.rows)
    shown.push_back(row.back().value + "|" + row.back().spread + "|" + row.back().remark);
  EXPECT_THAT(shown, ElementsAre("80.0|?|", "80.0|127.1|1 diverged", "1 diverged||"));
}

TEST(ScoreTable, MarksTheBestOnlyWhereThePairedTestTellsItFromEveryOther) {
  const std::vector<double> low = {0.70, 0.74, 0.78, 0.72}, high = {0.80, 0.85, 0.88, 0.83};
  const auto best = [](const std::vector<ResultRow>& rows) {
    std::string names;
    for (const ScoreLine& line : make_score_table(rows).lines)
      if (line.cells[0].best) names += line.name() + ";";
    return names;
  };
  EXPECT_EQ(best(together({runs("lora", "8", low), runs("lotr", "8", high)})), "lotr 8;");
  // References take no part.
  EXPECT_EQ(best(together({runs("lora", "8", low), runs("lotr", "8", high),
                           runs("full", "", {0.99, 0.99, 0.98, 0.99})})),
            "lotr 8;");
  // A third line that is as good; a single pair; a run that diverged.
  EXPECT_EQ(best(together({runs("lora", "8", low), runs("lotr", "8", high),
                           runs("map", "8", {0.81, 0.84, 0.87, 0.84})})),
            "");
  EXPECT_EQ(best(together({runs("lora", "8", {0.7}), runs("lotr", "8", {0.8})})), "");
  EXPECT_EQ(
      best(together({runs("lora", "8", low), runs("lotr", "8", {0.80, 0.85, 0.88, 0.83, nan})})),
      "");
  EXPECT_EQ(best(runs("lora", "8", low)), "");
}

TEST(ScoreTable, HasNoMeanOverTasksThatALineLacks) {
  const ScoreTable table =
      make_score_table(together({runs("lora", "8", {0.8, 0.9}), runs("lotr", "8", {0.8, 0.9}),
                                 runs("lotr", "8", {0.5, 0.7}, 100, "rte")}));
  EXPECT_FALSE(table.lines[0].mean);
  EXPECT_NEAR(*table.lines[1].mean->value, 0.725, 1e-12);
  EXPECT_TRUE(table.lines[1].mean->interval);
}

TEST(ScoreTable, RefusesWhatCannotBeAveraged) {
  std::vector<ResultRow> mixed = together({runs("lora", "8", {0.8}), runs("lotr", "8", {0.7})});
  mixed[1].metric = "f1";
  EXPECT_EQ(refusal(mixed),
            "lotr:8:sst2:0: task sst2 has the metric f1, expected accuracy as in lora:8:sst2:0");
  std::vector<ResultRow> twice = runs("lora", "8", {0.8, 0.9});
  twice[1].seed = "0";
  EXPECT_THAT(refusal(twice), HasSubstr("is the same run as lora:8:sst2:0"));
  std::vector<ResultRow> counts = runs("lora", "8", {0.8, 0.9});
  counts[1].parameters = 7;
  EXPECT_THAT(refusal(counts), HasSubstr("7 parameters, where lora:8:sst2:0 has 100"));
  counts[0].score.reset();
  EXPECT_THAT(refusal(counts), HasSubstr("has no score"));
  EXPECT_THAT(refusal({}), HasSubstr("no results"));
}

TEST(MethodCurves, TellWhereFullFineTuningsScoreIsReached) {
  const ScoreTable table = make_score_table(
      together({runs("lora", "1", {0.6, 0.6}, 100), runs("lora", "10", {0.8, 0.8}, 10000),
                runs("lotr", "1", {0.5, nan}, 50), runs("full", "", {0.7, 0.7}, 100000)}));
  const std::vector<MethodCurve> curves = measure_curves(table, 1000, 1.0);
  ASSERT_EQ(curves.size(), 2U);
  EXPECT_EQ(curves[0].method, "lora");
  EXPECT_NEAR(*curves[0].area.value, 0.7, 1e-12);
  EXPECT_NEAR(*curves[0].parameters_to_reach->size, 1000, 1e-6);
  EXPECT_NEAR(*curves[0].rank_to_reach->size, std::sqrt(10.0), 1e-9);
  EXPECT_NEAR(*curves[0].at_budget->value, 0.7, 1e-12);
  EXPECT_EQ(curves[0].on_front, 2U);
  EXPECT_EQ(curves[1].diverged, 1U);
  EXPECT_FALSE(curves[1].parameters_to_reach->size);
  EXPECT_EQ(curves[1].on_front, 1U);
  EXPECT_FALSE(curves[1].at_budget->value);
}

TEST(LineComparisons, PairSeedsAndCorrectOverATask) {
  const ScoreTable table = make_score_table(
      together({runs("lora", "8", {0.70, 0.74, 0.78}), runs("lotr", "8", {0.80, 0.85, 0.89, 0.9}),
                runs("none", "", {0.5, 0.5, 0.5}), runs("lora", "8", {0.5, 0.6}, 100, "rte"),
                runs("lotr", "8", {0.6, 0.65}, 100, "rte")}));
  const std::vector<LineComparison> all = compare_lines(table);
  // rte: one; sst2: three; both: three.
  ASSERT_EQ(all.size(), 7U);
  EXPECT_EQ(all[0].task, "rte");
  EXPECT_EQ(all[1].unpaired, 1U);
  EXPECT_EQ(all[1].t.count, 3U);
  EXPECT_NEAR(*all[1].t.mean_difference, -(0.1 + 0.11 + 0.11) / 3, 1e-12);
  EXPECT_GE(*all[1].t_adjusted, *all[1].t.p_value);
  EXPECT_EQ(all[4].task, "");
  EXPECT_EQ(all[4].t.count, 5U);
  EXPECT_EQ(compare_lines(table, "none").size(), 4U);
  EXPECT_EQ(compare_lines(table, "lora").front().second->method, "lora");
  EXPECT_THROW(compare_lines(table, "lorta"), UsageError);
}

TEST(ScoreSheets, HoldTheSameNumbersInFullAsRows) {
  const ScoreTable table = make_score_table(runs("lora", "8", {0.8, 0.9}));
  const ScoreSheet sheet = score_sheet(table, 2);
  ASSERT_EQ(sheet.rows.size(), 1U);
  EXPECT_NEAR(sheet.rows[0]["mean"].get<double>(), 0.85, 1e-12);
  EXPECT_EQ(sheet.rows[0]["runs"], 2);
  EXPECT_THAT(rows_as_csv(sheet.rows),
              HasSubstr("model,method,rank,setting,parameters,task,metric,mean,"));
  EXPECT_EQ(rows_as_csv(nlohmann::ordered_json::array({{{"a", "x,\"y\""}, {"b", nullptr}}})),
            "a,b\n\"x,\"\"y\"\"\",\n");
}

}  // namespace
}  // namespace rankfold
