#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/published/published.h"
#include "analysis/published/published_rows.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string failure(const FigureRequest& request) {
  return message_of<Error>([&] { draw_figure(request); });
}

TEST(PublishedRows, AreTheTablesCells) {
  const PublishedRows lotr = published_rows("lotr");
  EXPECT_EQ(lotr.rows.size(), 84U);
  const ResultRow& row = lotr.rows[0];
  EXPECT_EQ(row.task, "cola");
  EXPECT_EQ(row.method, "lora");
  EXPECT_EQ(row.rank, "1");
  EXPECT_EQ(row.parameters, 38400);
  EXPECT_DOUBLE_EQ(*row.score, 0.5336228410402933);
  EXPECT_THAT(lotr.sources, AllOf(HasSubstr("daskol/lotr"), HasSubstr("aggregation-not-stated")));
  const PublishedRows ranks = published_rows("loretta:6");
  EXPECT_EQ(ranks.rows[0].rank, "2");
  EXPECT_DOUBLE_EQ(*ranks.rows[0].score, 0.9541);
  EXPECT_EQ(ranks.rows[0].model, "deberta-base");
  EXPECT_EQ(published_rows("loretta").rows.size(), 14U * 9U);  // its table 1
}

TEST(PublishedRows, EveryNameHasRowsAndOthersAreRefused) {
  std::size_t cells = 0;
  for (const std::string& name : published_names()) {
    const PublishedRows found = published_rows(name);
    EXPECT_FALSE(found.rows.empty()) << name;
    const bool is_whole = name == "lotr" || name == "tenslora_plus";
    if (is_whole || name.find(':') != std::string::npos) cells += found.rows.size();
  }
  EXPECT_EQ(cells, read_published(published_tables()).size());
  EXPECT_THROW(published_rows("lotrr"), UsageError);
  EXPECT_THROW(published_rows("loretta:3"), UsageError);
  EXPECT_THAT(failure({.kind = "rank", .rows = {}, .out = "a.svg", .published = "lora"}),
              HasSubstr("known: lotr, loretta"));
}

TEST(PublishedRows, MethodsOfOnePaperLookDifferent) {
  for (const std::string& name : published_names()) {
    std::set<std::string> methods;
    std::set<std::pair<std::string, int>> looks;
    for (const ResultRow& row : published_rows(name).rows) methods.insert(row.method);
    for (const std::string& method : methods) {
      const MethodStyle style = method_style(method, 0);
      EXPECT_TRUE(looks.emplace(style.colour, style.marker).second) << name << " " << method;
    }
  }
}

TEST(PublishedFigure, IsThePapersPanelsOnItsAxes) {
  if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
  const TemporaryFolder folder;
  FigureRequest request{
      .kind = "parameter-efficiency", .rows = {}, .out = folder.path / "lotr.svg"};
  request.published = "lotr";
  draw_figure(request);
  const std::string svg = read_text(request.out), csv = read_text(folder.path / "lotr.csv");
  EXPECT_THAT(csv, AllOf(HasSubstr("cola,lora,1,,38400,38400,53.3622841,,,1,0,0.0384\n"),
                         HasSubstr("wnli,lotr,32,,75264,"), Not(HasSubstr("stsb"))));
  EXPECT_THAT(svg, AllOf(HasSubstr("parameters, M"), HasSubstr("mrpc"), HasSubstr("published")));
  request.kind = "cost";
  EXPECT_THAT(failure(request), HasSubstr("have no cost"));
}

TEST(PublishedFigure, IsDrawnAgainstTheRankWhereNoParametersAreTold) {
  const PublishedRows dora = published_rows("dora");
  const FigureOptions options{.sources = dora.sources};
  EXPECT_THROW(plan_figure(FigureKind::parameter_efficiency, dora.rows, options), Error);
  const FigurePlan shown = plan_figure(FigureKind::rank, dora.rows, options);
  ASSERT_EQ(shown.panels.size(), 3U);  // a model each, and none of parameters
  EXPECT_EQ(shown.panels[0].lines[0].points.size(), 5U);
  EXPECT_THAT(shown.note, AllOf(HasSubstr("as published"), Not(HasSubstr("interval"))));
}

TEST(Overlay, PutsPublishedPointsBehindOnesOwn) {
  const PublishedRows lotr = published_rows("lotr");
  FigureOptions options;
  options.overlay = lotr.rows;
  options.overlay_sources = lotr.sources;
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) {
    if (row.task == "sst2") row.task = "SST2";
    row.model = "FacebookAI/roberta-base";
  }
  const FigurePlan shown = plan_figure(FigureKind::parameter_efficiency, rows, options);
  std::vector<std::string> names;
  for (const FigureLine& line : shown.panels[1].lines) names.push_back(line.name);
  EXPECT_EQ(shown.panels[0].title, "SST2");
  EXPECT_THAT(names, ElementsAre("lora (published)", "lotr (published)", "lora", "lotr"));
  const MethodStyle grey = line_style(shown.panels[0].lines[1].look);
  EXPECT_EQ(grey.colour, "#8c8c8c");
  EXPECT_EQ(grey.marker, 4);  // hollow
  for (const FigurePoint& point : shown.panels[0].lines[0].points) EXPECT_FALSE(point.dominated);
  EXPECT_THAT(shown.note, AllOf(HasSubstr("Mean of 3 seeds"), HasSubstr("Grey: published")));
}

TEST(Overlay, NamesTheModelOfPublishedScoresWhereItIsAnother) {
  const PublishedRows lotr = published_rows("lotr");
  FigureOptions options;
  options.overlay = lotr.rows;
  options.overlay_sources = lotr.sources;
  const FigurePlan shown = plan_figure(FigureKind::parameter_efficiency, two_tasks(), options);
  EXPECT_EQ(shown.panels[1].lines[0].name, "lora (published, roberta-base)");
  EXPECT_THAT(shown.note, HasSubstr("Grey: published, of another model (roberta-base), "));
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) row.model = "/models/RoBERTa-base/";
  EXPECT_THAT(plan_figure(FigureKind::parameter_efficiency, rows, options).note,
              AllOf(Not(HasSubstr("another model")), Not(HasSubstr("/models"))));
}

TEST(Overlay, NeverAveragesModels) {
  const PublishedRows loretta = published_rows("loretta");
  FigureOptions options;
  options.overlay = loretta.rows;
  const FigurePlan shown = plan_figure(FigureKind::parameter_efficiency,
                                       {result("rte", "lora", "1", 0, 1000, 0.5)}, options);
  std::set<std::string> names;
  for (const FigureLine& line : shown.panels[0].lines) {
    EXPECT_TRUE(names.insert(line.name).second) << line.name;
    for (const FigurePoint& point : line.points) EXPECT_EQ(point.value.count, 1U) << line.name;
  }
  EXPECT_TRUE(names.contains("loretta_adp (published, roberta-base)"));
}

TEST(PublishedFigure, LeavesOutWhatHasNoPlaceOnTheAxis) {
  const PublishedRows loretta = published_rows("loretta");
  const FigureOptions options{.sources = loretta.sources};
  const FigurePlan ranks = plan_figure(FigureKind::rank, loretta.rows, options);
  for (const FigureLine& line : ranks.panels[0].lines) EXPECT_NE(line.name, "bitfit");
  const PublishedRows shapes = published_rows("loretta:4");  // neither ranks nor parameters
  EXPECT_THROW(plan_figure(FigureKind::rank, shapes.rows, options), Error);
  EXPECT_THROW(plan_figure(FigureKind::parameter_efficiency, shapes.rows, options), Error);
}

TEST(Overlay, NeedsATaskAndAMetricInCommon) {
  const PublishedRows lotr = published_rows("lotr");
  FigureOptions options;
  options.overlay = lotr.rows;
  const auto message = [&](const std::vector<ResultRow>& rows) -> std::string {
    try {
      return plan_figure(FigureKind::parameter_efficiency, rows, options).note;
    } catch (const Error& error) {
      return error.what();
    }
  };
  EXPECT_THAT(message({result("tweets", "lora", "1", 0, 1000, 0.5)}),
              AllOf(HasSubstr("tweets"), HasSubstr("wnli")));
  EXPECT_THAT(message({result("mrpc", "lora", "1", 0, 1000, 0.5)}),
              HasSubstr("mrpc (accuracy or f1)"));
  EXPECT_THAT(message({result("mrpc", "lora", "1", 0, 1000, 0.5),
                       result("rte", "lora", "1", 0, 1000, 0.5)}),
              HasSubstr("Published mrpc (accuracy or f1) has another metric."));
}

}  // namespace
}  // namespace rankfold
