#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure_layout.h"
#include "analysis/figures/planned_figure.h"
#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(ParameterEfficiency, TakesTheUntouchedEncoderIntoItsFront) {
  std::vector<ResultRow> rows = {
      result("sst2", "lotr", "1", 0, 100, 0.50), result("sst2", "lorta", "1", 0, 200, 0.60),
      result("sst2", "lora", "1", 0, 1000, 0.70), result("sst2", "none", "", 0, 0, 0.60)};
  const auto dominated = [&] {
    std::vector<bool> pale;
    const FigurePlan planned = plan(rows);
    for (const FigureLine& line : planned.panels[0].lines) pale.push_back(line.points[0].dominated);
    return pale;
  };
  // lora, lotr, lorta: below none, and no better than it for more parameters.
  EXPECT_THAT(dominated(), testing::ElementsAre(false, true, true));
  rows.pop_back();
  EXPECT_THAT(dominated(), testing::ElementsAre(false, false, false));
}

TEST(ConstantRuns, AreMarkedAndTold) {
  std::vector<ResultRow> rows = two_tasks();
  EXPECT_THAT(script(plan(rows)), Not(HasSubstr("_constant")));
  rows[0].constant_predictions = true;  // cola lora 1
  rows[4].constant_predictions = true;  // none
  rows[1].constant_predictions = true;
  rows[1].score = std::nan("");  // diverged: counted as that alone
  const FigurePlan shown = plan(rows);
  EXPECT_EQ(shown.panels[0].lines[0].points[0].constant, 1U);
  EXPECT_EQ(shown.panels[0].lines[0].points[1].constant, 0U);
  EXPECT_THAT(shown.note, HasSubstr("Hollow and crossed: of 36 runs 2 gave every row one answer."));
  EXPECT_THAT(script(shown), AllOf(HasSubstr("line0_constant << EOD\n1000 51"),
                                   HasSubstr("line0_cross using 1:2 with points pt 1")));
  EXPECT_EQ(plan(rows, FigureKind::rank).panels[0].lines[0].points[0].constant, 0U);
}

TEST(LargestClass, IsALineWhereScoresTouchIt) {
  std::vector<ResultRow> rows = {result("sst2", "lora", "1", 0, 1000, 0.68),
                                 result("sst2", "lora", "2", 0, 2000, 0.90)};
  for (ResultRow& row : rows) row.majority_score = 0.6809;
  const FigurePlan shown = plan(rows);
  ASSERT_EQ(shown.panels[0].references.size(), 1U);
  EXPECT_DOUBLE_EQ(*shown.panels[0].references[0].points[0].value.value, 68.09);
  EXPECT_THAT(shown.note, AllOf(HasSubstr("Largest class alone"), HasSubstr("One run for each")));
  EXPECT_THAT(figure_csv(shown), HasSubstr("sst2,largest class,,,0,,68.09,,,0,0,\n"));
  rows[0].score = 0.69;
  EXPECT_TRUE(plan(rows).panels[0].references.empty());
  rows[0].constant_predictions = true;
  EXPECT_EQ(plan(rows).panels[0].references.size(), 1U);
  // On other rows, as where two tables have one name, the largest class scores otherwise.
  rows[1].majority_score = 0.4;
  EXPECT_TRUE(plan(rows).panels[0].references.empty());
  for (ResultRow& row : rows) row.majority_score.reset();
  EXPECT_TRUE(plan(rows).panels[0].references.empty());
}

TEST(FigurePlan, NamesScoresOfHeldOutRows) {
  std::vector<ResultRow> rows = two_tasks();
  EXPECT_THAT(plan(rows).note, Not(HasSubstr("held-out")));
  for (ResultRow& row : rows) row.settings["score-on"] = "held-out";
  EXPECT_THAT(plan(rows).note, HasSubstr("Scored on held-out rows"));
  for (ResultRow& row : rows)
    if (row.method == "lotr") row.settings["score-on"] = "dev";
  const FigurePlan mixed = plan(rows);
  EXPECT_EQ(mixed.panels[0].lines[0].name, "lora, score-on=held-out");
  EXPECT_THAT(mixed.note, HasSubstr("held-out rows where a line says so"));
}

TEST(FigurePlan, NamesTheRowsThatMethodsOfOnePanelWereTrainedOn) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows)
    if (row.method == "lotr" && row.task == "sst2") row.train_rows = 600;
  const FigurePlan shown = plan(rows);
  EXPECT_EQ(shown.panels[1].lines[0].name, "lora, all rows");
  EXPECT_EQ(shown.panels[1].lines[1].name, "lotr, 600 rows");
}

TEST(FigurePlan, NamesModelsWithoutTheirFolders) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.model = "/home/me/models/roberta-base/";
  EXPECT_THAT(plan(rows).note, AllOf(HasSubstr("Model: roberta-base."), Not(HasSubstr("/home"))));
  rows[0].model = "../other";
  const FigurePlan shown = plan(rows);
  for (const FigurePanel& panel : shown.panels) EXPECT_THAT(panel.title, Not(HasSubstr("/")));
  EXPECT_EQ(plan({result("sst2", "lora", "1", 0, 10, 0.5)}).note.find("Model: tiny."), 0U);
}

TEST(RankFigure, HasHorizontalLinesForMethodsWithoutRank) {
  std::vector<ResultRow> rows = two_tasks();
  rows.push_back(result("sst2", "bitfit", "", 0, 102000, 0.6));
  const FigurePlan shown = plan(rows, FigureKind::rank);
  std::vector<std::string> names;
  for (const FigureLine& line : shown.panels[2].references) names.push_back(line.name);
  EXPECT_THAT(names, testing::Contains("bitfit, 102k"));
}

TEST(DepthFigure, IsRefusedWithoutTwoDepthsOfAMethod) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.adapted_layers = row.method == "lora" ? 2 : 4;
  EXPECT_THAT(message_of<Error>([&] { plan(rows, FigureKind::depth); }),
              HasSubstr("two numbers of adapted layers"));
}

TEST(LearningRateFigure, IsRefusedWithoutTwoRatesAndTakesNoneAsAReference) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows)
    if (row.method != "none" && row.method != "full") row.settings["lr"] = "1e-3";
  EXPECT_THAT(message_of<Error>([&] { plan(rows, FigureKind::learning_rate); }),
              HasSubstr("two learning rates"));
  rows[0].settings["lr"] = "1e-2";
  const FigurePlan shown = plan(rows, FigureKind::learning_rate);
  EXPECT_EQ(shown.panels[0].references.size(), 2U);
}

TEST(FigurePlan, HoldsEqualValuesOnePointAndNothingButDivergence) {
  for (const double score : {0.5, 0.0, 1.0}) {
    std::vector<ResultRow> rows;
    for (const char* rank : {"1", "2"})
      rows.push_back(result("sst2", "lora", rank, 0, 1000 * std::stoi(rank), score));
    EXPECT_THAT(script(plan(rows)), Not(HasSubstr("nan")));
    rows.pop_back();
    EXPECT_THAT(script(plan(rows)), Not(HasSubstr("nan")));
    rows[0].score = std::nan("");
    EXPECT_THAT(script(plan(rows)), HasSubstr("_diverged"));
  }
}

}  // namespace
}  // namespace rankfold
