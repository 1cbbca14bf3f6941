#include "analysis/tables/score_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "analysis/figure_rows.h"
#include "analysis/tables/score_sheets.h"
#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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

/// The last column: value, bold's star, mark, spread (or both sides), remark.
std::vector<std::string> last_cells(const Sheet& sheet) {
  std::vector<std::string> shown;
  for (std::size_t at = 0; at < sheet.row_count; ++at) {
    const SheetCell cell = sheet.row(at).back();
    std::string text = cell.value + (cell.bold ? "*" : "") + cell.mark;
    if (!cell.spread.empty())
      text += cell.below.empty() ? " " + cell.spread : " -" + cell.below + "/+" + cell.spread;
    if (!cell.remark.empty()) text += " (" + cell.remark + ")";
    shown.push_back(text);
  }
  return shown;
}

std::string notes_of(const Sheet& sheet) {
  std::string notes;
  for (const std::string& note : sheet.notes) notes += note + '\n';
  return notes;
}

std::vector<ResultRow> constant(std::vector<ResultRow> rows, double majority = NAN) {
  for (ResultRow& row : rows) {
    row.constant_predictions = true;
    if (std::isfinite(majority)) row.majority_score = majority;
  }
  return rows;
}

std::vector<ResultRow> scored_by(const std::string& metric, std::vector<ResultRow> rows) {
  for (ResultRow& row : rows) row.metric = metric;
  return rows;
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

TEST(ScoreTable, TellsTheLargestClassWhereAllRunsHaveTheSame) {
  std::vector<ResultRow> rows = constant(runs("lora", "8", {0.6, 0.6}), 0.6);
  EXPECT_EQ(make_score_table(rows).columns[0].majority, 0.6);
  rows[1].majority_score = 0.4;
  EXPECT_EQ(make_score_table(rows).columns[0].majority, std::nullopt);
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
  EXPECT_NEAR(*table.lines[0].mean.estimate->value, 0.7, 1e-12);
}

TEST(ScoreTable, LeavesTheIntervalOfOneRunUnknownAndCountsDivergedOnes) {
  const ScoreTable table = make_score_table(together(
      {runs("lora", "8", {0.8}), runs("lotr", "8", {0.7, nan, 0.9}), runs("map", "8", {nan})}));
  EXPECT_FALSE(table.lines[0].cells[0].estimate->interval);
  const Sheet sheet = score_sheet(table, 1).sheet;
  EXPECT_THAT(last_cells(sheet),
              ElementsAre("80.0 ?", "80.0 -80.0/+20.0 (1 diverged)", "1 diverged"));
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
  EXPECT_FALSE(table.lines[0].mean.estimate);
  EXPECT_NEAR(*table.lines[1].mean.estimate->value, 0.725, 1e-12);
  EXPECT_TRUE(table.lines[1].mean.estimate->interval);
}

TEST(ScoreTable, TakesTheMeanOverTasksBySeed) {
  const ScoreTable table = make_score_table(together(
      {runs("lora", "8", {0.80, 0.86, 0.84}), runs("lora", "8", {0.5, 0.7, 0.6}, 100, "rte")}));
  const Estimate& mean = *table.lines[0].mean.estimate;
  const Estimate seeds = estimate_mean(std::vector<double>{0.65, 0.78, 0.72});
  EXPECT_NEAR(mean.interval->low, seeds.interval->low, 1e-12);
  EXPECT_NEAR(mean.interval->high, seeds.interval->high, 1e-12);
}

TEST(ScoreTable, HasNoMeanOfScoresOnDifferentScales) {
  const auto rows = [](const std::string& metric) {
    return together({runs("lora", "8", {0.8, 0.9}),
                     scored_by(metric, runs("lora", "8", {0.5, 0.7}, 100, "mt-bench"))});
  };
  EXPECT_FALSE(make_score_table(rows("rating")).has_mean);
  EXPECT_THAT(notes_of(score_sheet(make_score_table(rows("rating")), 2).sheet),
              HasSubstr("no mean over tasks: their metrics have different scales"));
  EXPECT_TRUE(make_score_table(rows("matthews_correlation")).has_mean);
}

TEST(ScoreTable, HasAnInterquartileMeanFromFiveTasksOfOneMetric) {
  std::vector<ResultRow> rows;
  for (int task = 0; task < 5; ++task) {
    const auto more =
        runs("lora", "8", {0.7 + 0.01 * task, 0.8, 0.75}, 100, fmt::format("t{}", task));
    rows.insert(rows.end(), more.begin(), more.end());
    const ScoreTable table = make_score_table(rows);
    EXPECT_EQ(table.has_interquartile_mean, task == 4);
    const std::string notes = notes_of(score_sheet(table, 2).sheet);
    EXPECT_EQ(notes.find("no interquartile mean: it takes 5") != std::string::npos,
              task > 0 && task < 4);
  }
  EXPECT_TRUE(make_score_table(rows).lines[0].interquartile_mean->interval);
  rows[0].metric = rows[1].metric = rows[2].metric = "f1";
  EXPECT_FALSE(make_score_table(rows).has_interquartile_mean);
  EXPECT_TRUE(make_score_table(rows).has_mean);
}

TEST(ScoreTable, IntervalsEndWithTheMetricsRange) {
  const ScoreTable table = make_score_table(
      together({runs("lora", "8", {0.90, 0.98}),
                scored_by("matthews_correlation", runs("lora", "8", {-0.9, 0.7}, 100, "cola"))}));
  EXPECT_EQ(table.lines[0].cells[1].estimate->interval->high, 1);
  EXPECT_EQ(table.lines[0].cells[0].estimate->interval->low, -1);
  EXPECT_EQ(table.lines[0].mean.estimate->interval->high, 1);
  EXPECT_EQ(table.lines[0].mean.estimate->interval->low, -0.5);
}

TEST(ScoreTable, MarksRunsThatPredictOneClassAndNeverAsTheBest) {
  std::vector<ResultRow> some = runs("loha", "8", {0.61, 0.70, 0.72, 0.66});
  some[0].constant_predictions = true;
  const ScoreTable table =
      make_score_table(together({runs("lora", "8", {0.50, 0.54, 0.58, 0.52}),
                                 constant(runs("map", "8", {0.8, 0.8, 0.8, 0.8}), 0.8),
                                 runs("lotr", "8", {0.7, 0.7, 0.7, 0.7}), some}));
  const Sheet sheet = score_sheet(table, 2).sheet;
  EXPECT_THAT(last_cells(sheet), ElementsAre("53.50 5.44", "70.00\u00a7 0.00", "80.00\u2020 0.00",
                                             "67.25\u2021 7.73"));
  EXPECT_THAT(notes_of(sheet),
              AllOf(HasSubstr("\u2020: every run gave every row one class"),
                    HasSubstr("\u2021: some runs gave every row one class"),
                    HasSubstr("the largest class for every row scores: sst2 80.00\n"),
                    HasSubstr("\u00a7: every run has the same score")));
}

TEST(ScoreTable, HasNoCorrelationOfConstantPredictions) {
  std::vector<ResultRow> some = runs("lora", "8", {0, 0.70, 0.72}, 100, "stsb");
  some[0].constant_predictions = true;
  const ScoreTable table = make_score_table(scored_by(
      "pearson", together({some, constant(runs("lotr", "8", {0, nan, 0}, 100, "stsb"), 0)})));
  EXPECT_EQ(table.lines[0].cells[0].undefined, 0U);
  EXPECT_EQ(table.lines[1].cells[0].undefined, 3U);
  EXPECT_EQ(table.lines[1].cells[0].estimate->diverged, 0U);
  const ScoreSheet sheet = score_sheet(table, 1);
  EXPECT_THAT(last_cells(sheet.sheet), ElementsAre("47.3\u2021 -101.9/+52.7", "?\u2020"));
  EXPECT_THAT(notes_of(sheet.sheet), AllOf(HasSubstr("of such runs stsb has no score"),
                                           Not(HasSubstr("the largest class"))));
  EXPECT_TRUE(sheet.record(1)["mean"].is_null());
  EXPECT_EQ(sheet.record(1)["constant"], 3);
  // Matthews' correlation is 0 by convention.
  const ScoreTable matthews =
      make_score_table(scored_by("matthews_correlation", constant(runs("lora", "8", {0, 0}))));
  EXPECT_THAT(last_cells(score_sheet(matthews, 1).sheet), ElementsAre("0.0\u2020 0.0"));
}

TEST(ScoreTable, OfAnErrorTheLeastIsBest) {
  const ScoreTable table = make_score_table(
      scored_by("relative_error", together({runs("lora", "8", {3.0e-7, 3.1e-7, 3.2e-7}),
                                            runs("lotr", "8", {1.0e-7, 1.2e-7, 1.1e-7})})));
  EXPECT_THAT(last_cells(score_sheet(table, 2).sheet),
              ElementsAre("3.10e-07 2.48e-08", "1.10e-07* 2.48e-08"));
  EXPECT_THAT(message_of<Error>([&] { measure_curves(table, {}); }),
              HasSubstr("sst2: of relative_error less is better"));
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

TEST(MethodCurves, KeepAMethodOfWhichEveryRunDivergedOrIsConstant) {
  const ScoreTable table = make_score_table(scored_by(
      "pearson", together({constant(runs("lora", "8", {0.0, 0.0})), runs("lotr", "8", {nan}, 7)})));
  const std::vector<MethodCurve> curves = measure_curves(table, 100);
  ASSERT_EQ(curves.size(), 2U);
  EXPECT_EQ(curves[1].smallest, 7);
  EXPECT_EQ(curves[1].points, 0U);
  EXPECT_FALSE(curves[1].area.value);
  const Sheet sheet = method_sheet(curves, 2).sheet;
  EXPECT_EQ(sheet.row(0)[1].remark, "2 of one class");
  EXPECT_EQ(sheet.row(1)[1].remark, "1 diverged");
}

TEST(MethodCurves, HaveNothingOnTheFrontThatTheUntouchedModelDominates) {
  const auto front = [](double none) {
    const ScoreTable table =
        make_score_table(together({runs("lora", "1", {0.6}, 100), runs("lora", "2", {0.7}, 200),
                                   runs("none", "", {none}, 0)}));
    return measure_curves(table, {})[0].on_front;
  };
  EXPECT_EQ(front(0.5), 2U);
  EXPECT_EQ(front(0.6), 1U);
  EXPECT_EQ(front(0.8), 0U);
}

TEST(LineComparisons, PairSeedsAndCorrectOverATask) {
  const ScoreTable table = make_score_table(
      together({runs("lora", "8", {0.70, 0.74, 0.78}), runs("lotr", "8", {0.80, 0.85, 0.89, 0.9}),
                runs("none", "", {0.5, 0.5, 0.5}), runs("lora", "8", {0.5, 0.6}, 100, "rte"),
                runs("lotr", "8", {0.6, 0.65}, 100, "rte")}));
  const std::vector<LineComparison> all = compare_lines(table);
  // rte: one; sst2: three; both: one, as none was not run on rte.
  ASSERT_EQ(all.size(), 5U);
  EXPECT_EQ(all[0].column, 0U);
  EXPECT_EQ(all[1].unpaired, 1U);
  EXPECT_EQ(all[1].t.count, 3U);
  EXPECT_NEAR(*all[1].t.mean_difference, -(0.1 + 0.11 + 0.11) / 3, 1e-12);
  EXPECT_GE(*all[1].t_adjusted, *all[1].t.p_value);
  // Over all tasks by the means of the two seeds that both tasks have.
  EXPECT_FALSE(all[4].column);
  EXPECT_EQ(all[4].t.count, 2U);
  EXPECT_NEAR(*all[4].t.mean_difference, -(0.1 + 0.08) / 2, 1e-12);
  EXPECT_EQ(compare_lines(table, "none").size(), 2U);
  EXPECT_EQ(compare_lines(table, "lora").front().second->method, "lora");
  EXPECT_THROW(compare_lines(table, "lorta"), UsageError);
}

TEST(LineComparisons, AreOfTheSameRows) {
  std::vector<ResultRow> rows =
      together({runs("lora", "8", {0.70, 0.74, 0.78}), runs("lotr", "8", {0.80, 0.85, 0.89}),
                runs("map", "8", {0.60, 0.66, 0.69})});
  for (ResultRow& row : rows) row.scored_rows = row.method == "map" ? "b" : "a";
  rows[3].scored_rows = "c";
  rows[4].scored_rows = "";
  const ScoreTable table = make_score_table(rows);
  const std::vector<LineComparison> all = compare_lines(table);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].t.count, 2U) << "not known is no other";
  EXPECT_EQ(all[0].other_rows, 1U);
  EXPECT_EQ(all[0].unpaired, 2U);
  EXPECT_EQ(all[1].t.count, 0U);
  EXPECT_EQ(all[1].other_rows, 3U);
  EXPECT_FALSE(all[1].t.p_value);
  const ScoreSheet sheet = comparison_sheet(all, table, 2);
  EXPECT_EQ(sheet.sheet.row(1)[2].value, "0");
  EXPECT_THAT(sheet.sheet.notes,
              testing::Contains(testing::HasSubstr("left out: 6 pairs of runs")));
}

TEST(LineComparisons, AreOfTheSameRowsInTablesToo) {
  std::vector<ResultRow> rows =
      together({runs("lora", "8", {0.70, 0.74, 0.78}), runs("lotr", "8", {0.90, 0.945, 0.98})});
  ASSERT_TRUE(make_score_table(rows).lines[1].cells[0].best);
  const auto compared = [&](const std::string& key, const std::vector<std::string>& values) {
    std::vector<ResultRow> told = rows;
    for (std::size_t i = 0; i < told.size(); ++i)
      if (const std::string& value = values[i / 3]; !value.empty()) told[i].settings[key] = value;
    const ScoreTable table = make_score_table(told);
    const LineComparison comparison = compare_lines(table).at(0);
    EXPECT_EQ(table.lines[1].cells[0].best, comparison.t.count == 3) << key;
    EXPECT_EQ(comparison.t.count + comparison.other_rows, 3U) << key;
    return comparison.t.count;
  };
  EXPECT_EQ(compared("score-on", {"dev", "dev"}), 3U);
  EXPECT_EQ(compared("score-on", {"dev", "held-out"}), 0U);
  EXPECT_EQ(compared("score-on", {"", "held-out"}), 3U) << "not known is no other";
  EXPECT_EQ(compared("fingerprint of the data", {"a/b", "c/b"}), 3U) << "trained on others";
  EXPECT_EQ(compared("fingerprint of the data", {"a/b", "a/c"}), 0U);
  EXPECT_EQ(compared("fingerprint of the data", {"a/", "a/c"}), 3U);
}

TEST(LineComparisons, OfRunsThatDoNotVaryAreUnknown) {
  const ScoreTable table = make_score_table(together(
      {constant(runs("lora", "8", {0.6, 0.6, 0.6}), 0.6),
       constant(runs("lotr", "8", {0.6, 0.6, 0.6})), runs("map", "8", {0.65, 0.65, 0.65})}));
  const std::vector<LineComparison> all = compare_lines(table);
  const ScoreSheet sheet = comparison_sheet(all, table, 2);
  for (std::size_t at = 0; at < 3; ++at) {
    const SheetRow row = sheet.sheet.row(at);
    for (std::size_t column = 4; column < row.size(); ++column)
      EXPECT_EQ(row[column].value, "?") << at << ", " << column;
    EXPECT_TRUE(sheet.record(at)["t_p"].is_null());
  }
  EXPECT_EQ(sheet.sheet.row(0)[0].mark, "\u2020");
  EXPECT_EQ(sheet.sheet.row(0)[3].value, "0.00");
  EXPECT_EQ(sheet.sheet.row(1)[3].value, "-5.00");
  EXPECT_EQ(sheet.sheet.row(1)[1].mark, "");
}

TEST(ScoreSheets, HoldTheSameNumbersInFullAsRecords) {
  const ScoreTable table = make_score_table(runs("lora", "8", {0.8, 0.9}));
  const ScoreSheet sheet = score_sheet(table, 2);
  ASSERT_EQ(sheet.record_count, 1U);
  EXPECT_NEAR(sheet.record(0)["mean"].get<double>(), 0.85, 1e-12);
  EXPECT_EQ(sheet.record(0)["runs"], 2);
  EXPECT_EQ(records_as_json(sheet)[0], sheet.record(0));
  EXPECT_THAT(records_as_csv(sheet),
              HasSubstr("model,method,rank,setting,parameters,task,metric,mean,"));
  ScoreSheet own;
  own.set_records({{{"a", "x,\"y\""}, {"b", nullptr}}});
  EXPECT_EQ(records_as_csv(own), "a,b\n\"x,\"\"y\"\"\",\n");
}

TEST(ScoreSheets, HaveAHeaderWithoutRecords) {
  const ScoreTable table = make_score_table(runs("lora", "8", {nan}, 0));
  EXPECT_THAT(records_as_csv(comparison_sheet(compare_lines(table), table, 2)),
              StartsWith("model,task,first,second,pairs,"));
  EXPECT_THAT(records_as_csv(method_sheet(measure_curves(table, {}), 2)),
              StartsWith("task,metric,model,method,"));
}

// Half a million comparisons are shown without a copy of each in memory.
TEST(ScoreSheets, MakeRowsWhenTheyAreAskedFor) {
  ScoreTable table = make_score_table(
      together({runs("lora", "8", {0.8, 0.9, 0.7}), runs("lotr", "8", {0.7, 0.6, 0.8})}));
  const std::vector<LineComparison> all = compare_lines(table);
  const ScoreSheet sheet = comparison_sheet(all, table, 2);
  EXPECT_EQ(sheet.sheet.row(0)[0].value, "lora 8");
  table.lines[0].rank = "16";
  EXPECT_EQ(sheet.sheet.row(0)[0].value, "lora 16");
}

}  // namespace
}  // namespace rankfold
