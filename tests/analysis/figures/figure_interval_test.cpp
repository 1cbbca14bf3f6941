#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "analysis/figure_rows.h"
#include "analysis/figures/planned_figure.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(FigureIntervals, AreUnknownForOneSeed) {
  const FigurePlan shown = plan({result("sst2", "lora", "1", 0, 1000, 0.5)});
  EXPECT_FALSE(shown.panels[0].lines[0].points[0].value.interval);
  EXPECT_THAT(shown.note, HasSubstr("One run for each point: intervals unknown."));
  EXPECT_THAT(figure_csv(shown), HasSubstr("sst2,lora,1,,1000,,50,,,1,0,1000\n"));
  EXPECT_THAT(script(shown), AllOf(Not(HasSubstr("_band")), Not(HasSubstr("_bar"))));
}

TEST(FigureIntervals, AreOfStudentForTwoSeeds) {
  const FigurePlan shown = plan(
      {result("sst2", "lora", "1", 0, 1000, 0.59), result("sst2", "lora", "1", 1, 1000, 0.61)});
  const FigurePoint& point = shown.panels[0].lines[0].points[0];
  // s = sqrt(2), s / sqrt(2) = 1; t(0.95, 1) = 12.706205.
  EXPECT_NEAR(point.value.interval->low, 60 - 12.706205, 1e-4);
  EXPECT_THAT(shown.note, HasSubstr("Mean of 2 seeds, band: 95% interval (Student's t)."));
  EXPECT_THAT(script(shown), HasSubstr("_bar"));  // a point alone has no band
}

TEST(FigureIntervals, BreakTheBandWhereTheyAreUnknown) {
  std::vector<ResultRow> rows;
  for (const std::string rank : {"1", "2", "4", "8", "16"}) {
    const auto parameters = 1000 * std::stoll(rank);
    for (int seed = 0; seed < (rank == "4" ? 1 : 2); ++seed) {
      rows.push_back(result("sst2", "lora", rank, seed, parameters, 0.5 + 0.01 * seed));
    }
  }
  const FigurePlan shown = plan(rows);
  EXPECT_THAT(shown.note, HasSubstr("Mean of 1 to 2 seeds"));
  EXPECT_THAT(shown.note, HasSubstr("unknown for one run."));
  const std::string text = script(shown);
  const std::size_t band = text.find("_band << EOD\n1000 ");
  ASSERT_NE(band, std::string::npos);
  const std::string block = text.substr(band, text.find("EOD\n", band + 20) - band);
  EXPECT_THAT(block, AllOf(HasSubstr("\n\n8000 "), Not(HasSubstr("4000 "))));
}

TEST(FigureIntervals, DoNotHideTheMeans) {
  std::vector<ResultRow> rows = {
      result("sst2", "lora", "1", 0, 1000, 0.50), result("sst2", "lora", "1", 1, 1000, 0.60),
      result("sst2", "lora", "2", 0, 2000, 0.54), result("sst2", "lora", "2", 1, 2000, 0.58)};
  // Means 55 and 56; the first one's interval is wider than -8 to 118.
  EXPECT_THAT(script(plan(rows)), HasSubstr("set yrange [53.82:57.18]"));
}

TEST(FigureIntervals, EndWhereTheQuantityDoes) {
  const FigurePlan shown = plan(
      {result("sst2", "lora", "1", 0, 1000, 0.90), result("sst2", "lora", "1", 1, 1000, 0.98)});
  EXPECT_EQ(shown.panels[0].lines[0].points[0].value.interval->high, 100);
  EXPECT_THAT(script(shown), HasSubstr("_bar << EOD\n1000 94 43.17518106 100\n"));
  EXPECT_THAT(figure_csv(shown), HasSubstr(",94,43.17518106,100,"));
}

TEST(FigureIntervals, LeaveOutDivergedRunsAndTellTheirNumber) {
  std::vector<ResultRow> rows = two_tasks();
  rows[0].score = std::nan("");                               // cola lora 1, seed 0
  rows[7].score = std::numeric_limits<double>::infinity();    // cola lora 4, seed 1
  rows[13].score = -std::numeric_limits<double>::infinity();  // cola lora 4, seed 2
  const FigurePlan shown = plan(rows);
  const std::vector<FigurePoint>& points = shown.panels[0].lines[0].points;
  EXPECT_DOUBLE_EQ(*points[0].value.value, 51.5);
  EXPECT_EQ(points[0].value.diverged, 1U);
  EXPECT_DOUBLE_EQ(*points[1].value.value, 60);
  EXPECT_EQ(points[1].value.diverged, 2U);
  EXPECT_FALSE(points[1].value.interval);
  EXPECT_THAT(shown.note, HasSubstr("\u00d7: of 36 runs 3 diverged; they are in no mean."));
  EXPECT_THAT(figure_csv(shown), HasSubstr("cola,lora,4,,4000,,60,,,1,2,4000\n"));
  EXPECT_THAT(script(shown), HasSubstr("_diverged using 1:("));
}

TEST(FigureIntervals, DrawAMethodThatOnlyDiverged) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) {
    if (row.method == "lotr") row.score = std::nan("");
  }
  const FigurePlan shown = plan(rows);
  EXPECT_FALSE(shown.panels[0].lines[1].points[0].value.value);
  EXPECT_THAT(figure_csv(shown), HasSubstr("cola,lotr,1,,200,,,,,0,3,200\n"));
  EXPECT_THAT(script(shown), HasSubstr("line1_diverged"));
  for (ResultRow& row : rows) row.score = std::nan("");
  EXPECT_THAT(plan(rows).note, HasSubstr("of 36 runs 36 diverged"));
}

TEST(FigureIntervals, EndAtTheFrameOfALogarithmicAxis) {
  std::vector<ResultRow> rows;
  for (int seed = 0; seed < 2; ++seed) {
    rows.push_back(result("fit", "lora", "1", seed, 1000, seed == 0 ? 0.001 : 0.9));
    rows.back().metric = "relative_error";
  }
  const FigurePlan shown = plan_figure(FigureKind::error, rows);
  EXPECT_EQ(shown.panels[0].lines[0].points[0].value.interval->low, 0);
  EXPECT_THAT(script(shown), AllOf(HasSubstr("_bar"), Not(HasSubstr("nan"))));
}

TEST(FigureIntervals, AreRefusedWhereNoAxisHoldsThem) {
  std::vector<ResultRow> rows = {result("t", "lora", "1", 0, 1000, 1e308),
                                 result("t", "lora", "2", 0, 2000, -1e308)};
  for (ResultRow& row : rows) row.metric = "own";
  EXPECT_THROW(script(plan(rows)), Error);
}

TEST(FigurePlan, FadesDominatedPoints) {
  const FigurePlan shown =
      plan({result("sst2", "lora", "1", 0, 1000, 0.5), result("sst2", "lora", "2", 0, 2000, 0.4),
            result("sst2", "lotr", "1", 0, 900, 0.5), result("sst2", "lotr", "2", 0, 2500, 0.6)});
  const auto& lines = shown.panels[0].lines;
  EXPECT_TRUE(lines[0].points[0].dominated);
  EXPECT_TRUE(lines[0].points[1].dominated);
  EXPECT_FALSE(lines[1].points[0].dominated);
  EXPECT_FALSE(lines[1].points[1].dominated);
  EXPECT_THAT(shown.note, HasSubstr("Pale points are dominated"));
  EXPECT_THAT(script(shown), HasSubstr(pale("#0072b2")));
  EXPECT_THAT(plan({result("sst2", "lora", "1", 0, 1000, 0.5)}).note, Not(HasSubstr("Pale")));
}

TEST(FigurePlan, RefusesMixedMetricsInOnePanel) {
  std::vector<ResultRow> rows = {result("mrpc", "lora", "1", 0, 1000, 0.5),
                                 result("mrpc", "lotr", "1", 0, 500, 0.9)};
  rows[1].metric = "f1";
  rows[1].origin = "r.csv:3";
  try {
    plan(rows);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("r.csv:3"), HasSubstr("lotr"), HasSubstr("f1"),
                                    HasSubstr("accuracy"), HasSubstr("not mixed")));
  }
  // Both metrics of every run: the main one is drawn.
  rows.push_back(rows[1]);
  rows.back().metric = "accuracy";
  EXPECT_EQ(plan(rows).panels[0].y_label, "accuracy, %");
}

}  // namespace
}  // namespace rankfold
