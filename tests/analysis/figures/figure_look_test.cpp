#include "analysis/figures/figure_look.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure_layout.h"
#include "analysis/figures/panel_axes.h"
#include "analysis/figures/panel_labels.h"
#include "analysis/figures/planned_figure.h"
#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

/// Twelve methods at ten ranks and two seeds, of one task.
std::vector<ResultRow> many() {
  std::vector<ResultRow> rows;
  int place = 0;
  for (const char* method : {"lora", "lotr", "lorta", "loretta_rep", "loretta_adp", "tenslora",
                             "dora", "fact_tt", "vera", "lokr", "loha", "metatt"}) {
    ++place;
    for (int rank = 1; rank <= 512; rank *= 2) {
      for (int seed = 0; seed < 2; ++seed) {
        const double score = 0.8 - 0.001 * std::log2(rank) + 0.004 * place + 0.001 * seed;
        rows.push_back(
            result("sst2", method, std::to_string(rank), seed, (200 + 40 * place) * rank, score));
      }
    }
  }
  return rows;
}

std::vector<PanelLabel> labels_of(const FigurePlan& shown, std::size_t panel = 0) {
  const PanelFrame frame{horizontal_axis(shown, shown.panels[panel]),
                         vertical_axis(shown, shown.panels[panel]),
                         180,
                         130,
                         7.5,
                         6.5,
                         2.6};
  return panel_labels(shown, shown.panels[panel], frame);
}

TEST(FigureLook, NamesMethodsWithoutARankAtTheirPoints) {
  std::vector<ResultRow> rows;
  for (const char* rank : {"1", "2"})
    for (int seed = 0; seed < 2; ++seed)
      rows.push_back(result("sst2", "lora", rank, seed, rank[0] == '1' ? 1000 : 2000, 0.8));
  for (int seed = 0; seed < 2; ++seed) rows.push_back(result("sst2", "ia3", "", seed, 500, 0.7));
  std::vector<std::string> texts;
  for (const PanelLabel& label : labels_of(plan_figure(FigureKind::parameter_efficiency, rows)))
    texts.push_back(label.text);
  EXPECT_THAT(texts, testing::UnorderedElementsAre("1", "2", "ia3"));
}

TEST(FigureLook, HasWidthsInUnitsOfPapers) {
  EXPECT_DOUBLE_EQ(width_in_points("5.5in"), 396);
  EXPECT_DOUBLE_EQ(width_in_points("25.4cm"), 720);
  EXPECT_DOUBLE_EQ(width_in_points("254mm"), 720);
  EXPECT_DOUBLE_EQ(width_in_points("397.485pt"), 396);  // TeX's points, 72.27 of an inch
  for (const char* wrong : {"", "5.5", "in", "5.5 in", "5,5in", "0in", "-3in", "1e3in", "nanin",
                            "1000in", "0.1cm", "5.5inch"})
    EXPECT_THROW(width_in_points(wrong), UsageError) << wrong;
}

TEST(FigureLook, HasRangesOfWhichOneEndMayBeMissing) {
  EXPECT_FALSE(range_of("x-range", ""));
  EXPECT_EQ(range_of("x-range", "80:95")->low, 80);
  EXPECT_EQ(range_of("x-range", "80:95")->high, 95);
  EXPECT_TRUE(std::isinf(range_of("x-range", "-5:")->high));
  EXPECT_TRUE(std::isinf(range_of("x-range", ":1e6")->low));
  for (const char* wrong : {":", "1", "2:1", "1:1", "a:b", "1:2:3", "nan:1", "1e301:"})
    EXPECT_THAT(message_of<UsageError>([&] { range_of("y-range", wrong); }),
                AllOf(HasSubstr("--y-range"), HasSubstr("LOW:HIGH")))
        << wrong;
}

TEST(FigureLook, RefusesUnknownNames) {
  EXPECT_THROW(label_choice("some"), UsageError);
  EXPECT_THROW(spread_named("bar"), UsageError);
  EXPECT_THROW(methods_have_panels("method"), UsageError);
}

TEST(FigureLook, ShowsWhatLiesInItsRanges) {
  FigureLook look;
  look.x_range = Bounds{500, 5000};
  look.y_range = Bounds{48, INFINITY};
  const FigurePlan shown = plan(two_tasks(), look);
  const std::string text = script(shown, page_width);
  EXPECT_THAT(text, AllOf(HasSubstr("set xrange [500:5000]"), HasSubstr("set yrange [48:")));
  look.x_range = Bounds{1e7, 1e8};
  EXPECT_THAT(message_of<Error>([&] { plan(two_tasks(), look); }), HasSubstr("no point lies"));
  look.x_range = Bounds{0, 1e8};
  EXPECT_THAT(message_of<UsageError>([&] { plan(two_tasks(), look); }), HasSubstr("logarithmic"));
}

TEST(FigureLook, RefusesOneRangeForDifferentQuantities) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.tokens_per_second = row.peak_memory_mib = 100;
  const FigureOptions options{.look = {.y_range = Bounds{0, 1000}}};
  EXPECT_THAT(message_of<UsageError>([&] { plan_figure(FigureKind::cost, rows, options); }),
              HasSubstr("--y-range: the panels show different quantities"));
}

TEST(FigureLook, LeavesThePanelOfParametersItsOwnVerticalAxis) {
  const FigureOptions options{.look = {.y_range = Bounds{50, 70}}};
  const FigurePlan shown = plan_figure(FigureKind::rank, two_tasks(), options);
  EXPECT_FALSE(shown.panels[0].y_range);
  EXPECT_TRUE(shown.panels[1].y_range);
}

TEST(FigureAxis, OfARangeHasLabelsBetweenPowersWhereThereAreNone) {
  for (const auto& [low, high] : {std::pair(2e4, 9e4), {1.1e3, 1.4e3}, {5.0, 12.0}, {1.0, 1e9}}) {
    const FigureAxis axis = make_axis_within(AxisScale::log10, low, high);
    EXPECT_EQ(axis.low, low);
    EXPECT_EQ(axis.high, high);
    int labelled = 0;
    for (const Tick& tick : axis.ticks) labelled += tick.text.empty() ? 0 : 1;
    EXPECT_GE(labelled, 2) << low;
  }
}

TEST(FigureAxis, WritesHugeNumbersShort) {
  for (const Tick& tick : make_axis(AxisScale::linear, {0, 1e200}).ticks)
    EXPECT_LT(tick.text.size(), 10U);
  for (const Tick& tick : make_axis(AxisScale::linear, {1e-9, 2e-9}).ticks)
    EXPECT_LT(tick.text.size(), 12U);
}

TEST(FigureSpread, IsABandWhereThereAreFewLinesAndABarWhereThereAreMany) {
  EXPECT_EQ(plan(two_tasks()).spread, Spread::band);
  const FigurePlan shown = plan(many());
  EXPECT_EQ(shown.spread, Spread::bars);
  EXPECT_THAT(shown.note, HasSubstr("Mean of 2 seeds, bar: 95% interval"));
  EXPECT_THAT(script(shown, page_width), AllOf(HasSubstr("_bar"), Not(HasSubstr("_band"))));
  EXPECT_THAT(script(plan(many(), {.spread = Spread::band})), HasSubstr("_band"));
}

TEST(FigureSpread, IsOfDotsWhereBarsWouldFillThePanel) {
  std::vector<ResultRow> rows = many();
  for (ResultRow& row : rows) row.score = *row.score + (row.seed == "1" ? 0.1 : 0);
  EXPECT_EQ(plan(rows).spread, Spread::dots);
}

TEST(FigureSpread, AsDotsShowsEachRun) {
  const FigurePlan shown = plan(two_tasks(), {.spread = Spread::dots});
  EXPECT_THAT(shown.note,
              HasSubstr("Mean of 3 seeds, small dots: each of them; grey bands: 95% interval"));
  EXPECT_THAT(script(shown, page_width),
              AllOf(HasSubstr("$panel1_line0_runs << EOD\n1000 50\n1000 51\n1000 52\n"),
                    Not(HasSubstr("line0_band"))));
}

TEST(FigureLabels, TellTheFrontFirstAndThinTheRest) {
  const FigurePlan shown = plan(many());
  std::size_t front = 0, labelled = 0;
  for (const FigureLine& line : shown.panels[0].lines)
    for (const FigurePoint& point : line.points) front += point.dominated ? 0 : 1;
  const std::vector<PanelLabel> labels = labels_of(shown);
  EXPECT_LT(labels.size(), 40U);
  for (const PanelLabel& label : labels) labelled += label.dominated ? 0 : 1;
  EXPECT_GE(labelled + 2, front);  // nearly every one finds a place
  FigurePlan all = shown;
  all.labels = LabelChoice::all;
  EXPECT_GT(labels_of(all).size(), labels.size());
  all.labels = LabelChoice::front;
  for (const PanelLabel& label : labels_of(all)) EXPECT_FALSE(label.dominated);
  all.labels = LabelChoice::none;
  EXPECT_TRUE(labels_of(all).empty());
}

TEST(FigureReferences, ThatWouldSqueezeTheDataAreToldAtTheEdge) {
  std::vector<ResultRow> rows = {
      result("sst2", "lora", "1", 0, 1000, 0.92), result("sst2", "lora", "2", 0, 2000, 0.93),
      result("sst2", "none", "", 0, 0, 0.50), result("sst2", "full", "", 0, 99999, 0.935)};
  const FigurePlan shown = plan(rows);
  const FigureAxis axis = vertical_axis(shown, shown.panels[0]);
  EXPECT_GT(axis.low, 90);
  EXPECT_GT(axis.high, 93.5);
  std::set<std::string> texts;
  for (const PanelLabel& label : labels_of(shown)) texts.insert(label.text);
  EXPECT_TRUE(texts.contains("\u2193 none (head only): 50.0"));
  EXPECT_TRUE(texts.contains("full, 100k"));
  EXPECT_THAT(script(shown, page_width),
              AllOf(HasSubstr("reference0"), Not(HasSubstr("reference1"))));
  EXPECT_THAT(figure_csv(shown), HasSubstr("sst2,none,,,0,,50,"));
  // A point alone is not squeezed.
  rows.erase(rows.begin() + 1);
  const FigurePlan alone = plan(rows);
  EXPECT_LT(vertical_axis(alone, alone.panels[0]).low, 50);
}

TEST(SmallMultiples, ShowOneMethodAPanelAndTheOthersInGrey) {
  const FigurePlan shown = plan(two_tasks(), {.methods_apart = true});
  ASSERT_EQ(shown.panels.size(), 4U);
  EXPECT_EQ(shown.panels[1].title, "cola: lotr");
  EXPECT_TRUE(shown.panels[1].lines[0].look.muted);
  EXPECT_EQ(shown.panels[1].lines[0].look.method, "lora");
  EXPECT_FALSE(shown.panels[1].lines[1].look.muted);
  EXPECT_EQ(shown.panels[0].y_group, shown.panels[1].y_group);
  EXPECT_NE(shown.panels[1].y_group, shown.panels[2].y_group);
  EXPECT_THAT(shown.note, HasSubstr("Grey: the other methods."));
  const FigureLayout layout = layout_figure(shown, page_width);
  EXPECT_TRUE(layout.legend.empty());  // titles name the methods
  EXPECT_TRUE(layout.has_y_labels[0]);
  EXPECT_FALSE(layout.has_y_labels[1]);
  EXPECT_LT(layout.panels[2].top, layout.panels[1].bottom);
  // Each value stands once in the CSV.
  const std::string csv = figure_csv(shown);
  EXPECT_THAT(csv, AllOf(HasSubstr("cola: lora,lora,1,"), Not(HasSubstr("cola: lora,lotr"))));
}

TEST(SmallMultiples, AreRefusedWhereNobodyCouldReadThem) {
  std::vector<ResultRow> rows;
  for (int task = 0; task < 15; ++task)
    for (int method = 0; method < 14; ++method)
      rows.push_back(result("t" + std::to_string(task), "m" + std::to_string(method), "1", 0,
                            100 + method, 0.5));
  EXPECT_THAT(message_of<Error>([&] { plan(rows, {.methods_apart = true}); }),
              HasSubstr("210 panels"));
}

TEST(FigureLayout, HasAsManyPanelsInARowAsAreLegible) {
  const auto columns = [](std::size_t panels, double width) {
    FigurePlan shown;
    shown.panels.resize(panels);
    const FigureLayout layout = layout_figure(shown, width);
    std::set<double> lefts;
    for (const Box& panel : layout.panels) {
      lefts.insert(panel.left);
      EXPECT_LE(panel.right, width);
    }
    return lefts.size();
  };
  EXPECT_EQ(columns(2, column_width), 1U);
  EXPECT_EQ(columns(5, column_width), 2U);
  EXPECT_EQ(columns(2, width_in_points("5.5in")), 2U);
  EXPECT_EQ(columns(6, page_width), 2U);
  EXPECT_EQ(columns(7, page_width), 3U);
  EXPECT_EQ(columns(4, width_in_points("12in")), 4U);
}

TEST(FigureLayout, CutsNamesThatNoWidthHolds) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows)
    if (row.method == "lotr") row.method = std::string(300, 'x');
  const std::string text = script(plan(rows));
  EXPECT_THAT(text, AllOf(HasSubstr("xxx\u2026'"), Not(HasSubstr(std::string(100, 'x')))));
}

}  // namespace
}  // namespace rankfold
