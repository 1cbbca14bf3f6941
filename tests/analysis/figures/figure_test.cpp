#include "analysis/figures/figure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "analysis/figure_rows.h"
#include "analysis/figures/axis.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/figure_script.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/figures/label_placement.h"
#include "analysis/figures/method_style.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

FigurePlan plan(FigureKind kind, const std::vector<ResultRow>& rows) {
  return plan_figure(kind, rows);
}

std::vector<std::string> names(const std::vector<FigureLine>& lines) {
  std::vector<std::string> result;
  for (const FigureLine& line : lines) result.push_back(line.name);
  return result;
}

class Figure : public testing::Test {
 protected:
  std::string failure(const FigureRequest& request) const {
    try {
      draw_figure(request);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  std::string drawn(const std::vector<ResultRow>& rows, const std::string& name) const {
    draw_figure({"parameter-efficiency", rows, folder_.path / name});
    return read_text(folder_.path / name);
  }
  const TemporaryFolder folder_;
};

TEST(FigurePlan, GivesEachTaskAPanelAndEachMethodALine) {
  const FigurePlan figure = plan(FigureKind::parameter_efficiency, two_tasks());
  ASSERT_EQ(figure.panels.size(), 2u);
  EXPECT_EQ(figure.panels[0].title, "cola");
  EXPECT_EQ(figure.panels[0].y_label, "Matthews correlation \u00d7 100");
  EXPECT_EQ(figure.panels[1].y_label, "accuracy, %");
  EXPECT_THAT(names(figure.panels[1].lines), ElementsAre("lora", "lotr"));
  EXPECT_THAT(names(figure.panels[1].references), ElementsAre("full, 2.36M", "none (head only)"));
  const FigurePoint& point = figure.panels[1].lines[0].points[1];
  EXPECT_EQ(point.x, 4000);
  EXPECT_EQ(point.rank, "4");
  EXPECT_EQ(point.value.count, 3U);
  EXPECT_DOUBLE_EQ(*point.value.value, 62);
  // Deviation 2, three seeds; t(0.95, 2) = 4.302653.
  EXPECT_NEAR(point.value.interval->high, 62 + 4.302653 * 2 / std::sqrt(3.0), 1e-5);
  EXPECT_NEAR(point.value.interval->low, 62 - 4.302653 * 2 / std::sqrt(3.0), 1e-5);
  EXPECT_THAT(figure.note, AllOf(HasSubstr("Model: tiny."), HasSubstr("Mean of 3 seeds"),
                                 HasSubstr("95% interval (Student's t)")));
}

TEST(FigurePlan, NeverAveragesDifferentParameterCounts) {
  const FigurePlan figure =
      plan(FigureKind::parameter_efficiency,
           {result("sst2", "lora", "1", 0, 1000, 0.5), result("sst2", "lora", "1", 0, 2000, 0.7)});
  EXPECT_EQ(figure.panels[0].lines[0].points.size(), 2u);
}

TEST(FigurePlan, SplitsLinesByLayersAndBySettingsAtOneRank) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.settings["lr"] = row.rank == "1" ? "1e-3" : "1e-4";
  EXPECT_THAT(names(plan(FigureKind::parameter_efficiency, rows).panels[0].lines),
              ElementsAre("lora", "lotr"));  // one learning rate at each rank
  for (ResultRow& row : rows) {
    if (row.method == "lora") row.layers = row.rank == "1" ? "last:2" : "last:10";
    if (row.method == "lotr") row.settings["lr"] = row.seed == "0" ? "0.02" : "5e-3";
  }
  const FigurePlan figure = plan(FigureKind::parameter_efficiency, rows);
  EXPECT_THAT(names(figure.panels[0].lines),
              ElementsAre("lora, last:2", "lora, last:10", "lotr, lr=5e-3", "lotr, lr=0.02"));
  EXPECT_EQ(figure.panels[0].lines[1].look.variant, 1);
  EXPECT_THAT(figure_csv(figure), AllOf(HasSubstr("cola,lora,4,last:10,4000,"),
                                        HasSubstr("cola,\"lotr, lr=0.02\",1,,200,")));
}

TEST(FigurePlan, SaysOnHowManyRowsWasTrained) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.train_rows = 600;
  EXPECT_THAT(plan(FigureKind::parameter_efficiency, rows).note,
              HasSubstr("Trained on the first 600 rows."));
  for (ResultRow& row : rows) row.train_rows = row.task == "cola" ? 600 : 900;
  const FigurePlan figure = plan(FigureKind::parameter_efficiency, rows);
  EXPECT_EQ(figure.panels[0].title, "cola (first 600 rows)");
  EXPECT_EQ(figure.panels[1].title, "sst2 (first 900 rows)");
}

TEST(FigurePlan, UsesTheMainMetricOfSeveral) {
  ResultRow f1 = result("mrpc", "lora", "1", 0, 1000, 0.9);
  f1.metric = "f1";
  const FigurePlan figure =
      plan(FigureKind::parameter_efficiency, {f1, result("mrpc", "lora", "1", 0, 1000, 0.5)});
  EXPECT_EQ(figure.panels[0].y_label, "accuracy, %");
  EXPECT_DOUBLE_EQ(figure.panels[0].lines[0].points[0].value.value.value(), 50);
}

TEST(FigurePlan, PutsRanksOnTheirAxis) {
  std::vector<ResultRow> rows = two_tasks();
  rows.push_back(result("cola", "tenslora", "16x4", 0, 500, 0.5));
  const FigurePlan figure = plan(FigureKind::rank, rows);
  ASSERT_EQ(figure.panels.size(), 3u);
  EXPECT_EQ(figure.panels[0].title, "parameters");
  EXPECT_EQ(figure.panels[0].y_scale, AxisScale::log10);
  EXPECT_THAT(names(figure.panels[0].references), ElementsAre("full, 2.36M"));
  EXPECT_EQ(figure.panels[0].lines[2].points[0].x, 8);
  EXPECT_EQ(figure.panels[0].lines[0].points[1].value.value.value(), 4000);
  EXPECT_THAT(figure.note, HasSubstr("geometric mean"));
}

TEST(FigurePlan, EndsFirstAndLastLayersInAllOfThem) {
  std::vector<ResultRow> rows;
  for (const std::string layers : {"first:2", "last:2", "all"}) {
    for (const std::string rank : {"1", "4"}) {
      rows.push_back(result("cola", "lora", rank, 0, layers == "all" ? 6000 : 2000, 0.5));
      rows.back().layers = layers;
      rows.back().adapted_layers = layers == "all" ? 6 : 2;
    }
  }
  const FigurePlan figure = plan(FigureKind::depth, rows);
  ASSERT_EQ(figure.panels.size(), 2u);
  EXPECT_THAT(names(figure.panels[1].lines), ElementsAre("lora, first layers", "lora, first layers",
                                                         "lora, last layers", "lora, last layers"));
  for (const FigureLine& line : figure.panels[1].lines) {
    ASSERT_EQ(line.points.size(), 2u);
    EXPECT_EQ(line.points[1].x, 6);
  }
  EXPECT_EQ(figure.rank_labels, RankLabels::at_line_ends);
  rows[0].layers = "all";
  rows[0].adapted_layers.reset();
  EXPECT_THROW(plan(FigureKind::depth, rows), Error);
}

TEST(FigurePlan, DrawsCountsWithoutScores) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.score.reset();
  EXPECT_EQ(plan(FigureKind::rank, rows).panels.size(), 1u);
  EXPECT_THROW(plan(FigureKind::parameter_efficiency, rows), Error);
  EXPECT_THROW(plan(FigureKind::rank, {}), Error);
}

std::vector<ResultRow> fits() {
  std::vector<ResultRow> rows;
  const auto add = [&](const char* method, const char* rank, std::int64_t parameters,
                       double error) {
    rows.push_back(result("fit", method, rank, 0, parameters, error));
    rows.back().metric = "relative_error";
  };
  add("lora", "1", 100, 0.4);
  add("lora", "8", 800, 0.01);
  add("lotr", "1", 20, 0.9);
  add("none", "", 0, 1);
  add("full", "", 4000, 0);
  return rows;
}

TEST(FigurePlan, DrawsErrorsOfFitsOnLogarithmicAxes) {
  const FigurePlan shown = plan(FigureKind::error, fits());
  ASSERT_EQ(shown.panels.size(), 1U);
  EXPECT_EQ(shown.panels[0].x_scale, AxisScale::log10);
  EXPECT_EQ(shown.panels[0].title, "tiny");
  EXPECT_EQ(shown.panels[0].y_scale, AxisScale::log10);
  EXPECT_THAT(names(shown.panels[0].lines), ElementsAre("lora", "lotr"));
  EXPECT_THAT(names(shown.panels[0].references), ElementsAre("none"));
  EXPECT_DOUBLE_EQ(shown.panels[0].lines[0].points[1].value.value.value(), 0.01);
  EXPECT_DOUBLE_EQ(shown.panels[0].lines[0].points[1].x, 800);
  EXPECT_THAT(shown.note, HasSubstr("One run for each point"));
}

TEST(FigurePlan, RefusesErrorsThatHaveNoPlaceAndRowsThatAreNoFits) {
  std::vector<ResultRow> rows = fits();
  rows[1].score = 0;
  EXPECT_THROW(plan(FigureKind::error, rows), Error);
  EXPECT_THROW(plan(FigureKind::error, two_tasks()), Error);
}

TEST(FigurePlan, NeedsTrainableParametersForTheirAxis) {
  std::vector<ResultRow> rows = two_tasks();
  const auto draw = [&] {
    return plan_figure(FigureKind::parameter_efficiency, rows, {.axis = ParameterAxis::trainable});
  };
  EXPECT_THROW(draw(), Error);
  for (ResultRow& row : rows) row.trainable = row.parameters + 770;
  EXPECT_EQ(draw().panels[0].lines[0].points[0].x, 1770);
}

TEST(FigurePlan, RefusesMethodsWithoutParametersOnALogarithmicAxis) {
  EXPECT_THROW(plan(FigureKind::parameter_efficiency, {result("cola", "lora", "1", 0, 0, 0.5)}),
               Error);
}

TEST(ShortCount, HasThreeDigits) {
  EXPECT_EQ(short_count(960), "960");
  EXPECT_EQ(short_count(73728), "73.7k");
  EXPECT_EQ(short_count(999999), "1M");
  EXPECT_EQ(short_count(2359296), "2.36M");
}

TEST(FigureAxis, HasAtLeastTwoPowersOfTen) {
  for (const std::vector<double>& values :
       {std::vector<double>{1000}, {3000, 75000}, {200, 300}, {1, 1e9}}) {
    const FigureAxis axis = make_axis(AxisScale::log10, values);
    int labelled = 0;
    for (const Tick& tick : axis.ticks) {
      EXPECT_GE(tick.value, axis.low);
      EXPECT_LE(tick.value, axis.high);
      labelled += tick.text.empty() ? 0 : 1;
    }
    EXPECT_GE(labelled, 2);
    for (const double value : values) {
      EXPECT_GT(axis.position(value), 0);
      EXPECT_LT(axis.position(value), 1);
    }
  }
}

TEST(FigureAxis, HasRoundTicks) {
  std::vector<std::string> texts;
  for (const Tick& tick : make_axis(AxisScale::linear, {-11, 31}).ticks) texts.push_back(tick.text);
  EXPECT_THAT(texts, ElementsAre("\u221210", "0", "10", "20", "30"));
  texts.clear();
  for (const Tick& tick : make_axis(AxisScale::log2, {1, 32}).ticks) texts.push_back(tick.text);
  EXPECT_THAT(texts, ElementsAre("1", "2", "4", "8", "16", "32"));
  EXPECT_GE(make_axis(AxisScale::linear, {50}).ticks.size(), 2u);
}

TEST(FigureAxis, DropsLabelsThatWouldOverlap) {
  const auto texts = [](double length) {
    FigureAxis axis = make_axis(AxisScale::linear, {-11, 31});
    thin_labels(axis, length, [](const std::string&) { return 10.0; });
    std::vector<std::string> found;
    for (const Tick& tick : axis.ticks) found.push_back(tick.text);
    return found;
  };
  EXPECT_THAT(texts(100), ElementsAre("\u221210", "0", "10", "20", "30"));
  EXPECT_THAT(texts(30), ElementsAre("\u221210", "", "10", "", "30"));
  EXPECT_THAT(texts(1), ElementsAre("\u221210", "", "", "", ""));
}

TEST(LabelPlacer, KeepsLabelsOffEachOther) {
  LabelPlacer placer(100, 100);
  std::vector<Box> boxes;
  for (int i = 0; i < 30; ++i) {
    const auto box = placer.place_beside(50 + 0.1 * i, 50, 8, 6);
    if (box) boxes.push_back(*box);
  }
  EXPECT_GE(boxes.size(), 6u);
  EXPECT_LT(boxes.size(), 30u);
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const bool apart = boxes[i].right <= boxes[j].left || boxes[j].right <= boxes[i].left ||
                         boxes[i].top <= boxes[j].bottom || boxes[j].top <= boxes[i].bottom;
      EXPECT_TRUE(apart);
    }
  }
}

TEST(LabelPlacer, KeepsTheNameOfALineOffOthersCloseToIt) {
  LabelPlacer placer(100, 100);
  const auto above = placer.place_along(50, 20, 6, {50, 46});
  ASSERT_TRUE(above);
  EXPECT_DOUBLE_EQ(above->bottom, 51.5);
  const auto below = placer.place_along(46, 20, 6, {50, 46});
  ASSERT_TRUE(below);
  EXPECT_DOUBLE_EQ(below->top, 44.5);
  EXPECT_FALSE(placer.place_along(50, 20, 6, {54, 50, 46}));
}

TEST(MethodStyle, DependsOnTheMethodAlone) {
  EXPECT_EQ(method_style("lora", 0).colour, "#0072b2");
  EXPECT_EQ(method_style("someone's own", 0).colour, method_style("someone's own", 3).colour);
  EXPECT_NE(method_style("lora", 0).dash, method_style("lora", 1).dash);
  EXPECT_LT(method_order("lotr"), method_order("a method of its own"));
}

TEST(GnuplotText, LeavesNothingThatEndsAString) {
  EXPECT_EQ(gnuplot_text("loretta_rep \\n {/Symbol a}"), "'loretta_rep \\n {/Symbol a}'");
  EXPECT_EQ(gnuplot_text("a'b`c\nd\xff"), "'a\u2019b\u2019c?d?'");
  EXPECT_EQ(gnuplot_text("a\u0085b\u2028c\uffffd"), "'a?b?c?d'");
  EXPECT_EQ(gnuplot_text("abc", 2), "'ab\u2026'");
  EXPECT_EQ(gnuplot_text("\u00e9\u00d7"), "'\u00e9\u00d7'");
}

TEST(FigureLayout, NamesMethodsInOneOrderWhateverPanelHasThem) {
  const FigurePlan shown =
      plan(FigureKind::parameter_efficiency,
           {result("a", "lorta", "1", 0, 1000, 0.5), result("b", "lora", "1", 0, 1000, 0.5)});
  const FigureLayout layout = layout_figure(shown, page_width);
  ASSERT_EQ(layout.legend.size(), 2U);
  EXPECT_EQ(layout.legend[0].name, "lora");
  EXPECT_DOUBLE_EQ(layout.width, 6.75 * 72);
  EXPECT_DOUBLE_EQ(layout_figure(shown, column_width).width, 3.25 * 72);
}

TEST(FigureScript, IsAFunctionOfThePlan) {
  const FigurePlan figure = plan(FigureKind::parameter_efficiency, two_tasks());
  std::vector<ResultRow> turned = two_tasks();
  std::reverse(turned.begin(), turned.end());
  EXPECT_EQ(figure_script(figure, page_width, FigureFormat::svg, "figure.svg"),
            figure_script(plan(FigureKind::parameter_efficiency, turned), page_width,
                          FigureFormat::svg, "figure.svg"));
}

TEST_F(Figure, RefusesUnknownKindsAxesAndEndings) {
  const std::vector<ResultRow> rows = two_tasks();
  EXPECT_THAT(failure({"rnk", rows, "a.pdf"}), HasSubstr("did you mean 'rank'"));
  EXPECT_THAT(failure({"rank", rows, "a.pdf", "trainabel"}), HasSubstr("'trainable'"));
  EXPECT_THAT(failure({"rank", rows, "a.jpg"}), AllOf(HasSubstr(".jpg"), HasSubstr(".svg")));
  EXPECT_THROW(draw_figure({"rnk", rows, "a.pdf"}), UsageError);
}

class DrawnFigure : public Figure {
 protected:
  void SetUp() override {
    if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
  }
};

TEST_F(DrawnFigure, HasTheFormatOfItsEnding) {
  EXPECT_THAT(drawn(two_tasks(), "a.pdf"), testing::StartsWith("%PDF-"));
  EXPECT_THAT(drawn(two_tasks(), "a.png"), testing::StartsWith("\x89PNG\r\n"));
  EXPECT_THAT(drawn(two_tasks(), "a.svg"), AllOf(HasSubstr("<svg"), HasSubstr("</svg>")));
}

TEST_F(DrawnFigure, HasTheSameBytesEachTime) {
  for (const std::string ending : {".svg", ".pdf", ".png", ".tex"}) {
    EXPECT_EQ(drawn(two_tasks(), "a" + ending), drawn(two_tasks(), "b" + ending)) << ending;
  }
}

TEST_F(DrawnFigure, ComesWithTheValuesThatItShows) {
  drawn(two_tasks(), "a.svg");
  const std::string csv = read_text(folder_.path / "a.csv");
  EXPECT_THAT(csv,
              testing::StartsWith(
                  "panel,method,rank,layers,parameters,trainable,mean,low,high,runs,diverged,x\n"
                  "cola,lora,1,,1000,,51,48.51586229,53.48413771,3,0,1000\n"));
  EXPECT_THAT(csv, AllOf(HasSubstr("cola,none,,,0,,30,30,30,3,0,\n"),
                         HasSubstr("sst2,full,,,2359296,,70,70,70,3,0,\n")));
}

TEST_F(DrawnFigure, DrawsReferencesAlone) {
  EXPECT_THAT(drawn({result("cola", "none", "", 0, 0, 0.1)}, "a.svg"), HasSubstr("none (head"));
  draw_figure({"rank", {result("cola", "none", "", 0, 0, 0.1)}, folder_.path / "b.svg"});
}

TEST_F(DrawnFigure, DrawsHostileNamesAsText) {
  const std::string trap = (folder_.path / "trap").string();
  std::vector<ResultRow> rows;
  const std::vector<std::string> hostile = {"'; system('touch " + trap + "'); '",
                                            "`touch " + trap + "`",
                                            "'`touch " + trap + "`'",
                                            "\"; system(\"touch " + trap + "\")",
                                            "\nsystem('touch " + trap + "')\n",
                                            "a''b",
                                            "a\\",
                                            "EOD",
                                            "\n</text><script>",
                                            "@x $panel0_line0 {/Symbol a} %s"};
  for (const std::string& name : hostile) {
    rows.push_back(result(name, name, "1", 0, 1000, 0.5));
    rows.back().metric = name;
    rows.back().model = name;
    rows.back().layers = name;
    rows.push_back(rows.back());
    rows.back().settings["lr"] = name;
  }
  const std::string svg = drawn(rows, "a.svg");
  EXPECT_FALSE(std::filesystem::exists(trap));
  EXPECT_THAT(svg, testing::Not(HasSubstr("<script>")));
}

TEST_F(DrawnFigure, LeavesNothingBehindWhereGnuplotFails) {
  EXPECT_THROW(run_gnuplot("plot nothing_of_the_sort\n", "figure.svg"), Error);
  EXPECT_THROW(run_gnuplot("print 1\n", "figure.svg"), Error);
  try {
    run_gnuplot("set terminal svg\nset output 'figure.svg'\nplot nothing_of_the_sort\n",
                "figure.svg");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("undefined variable"), testing::Not(HasSubstr("\n"))));
  }
}

}  // namespace
}  // namespace rankfold
