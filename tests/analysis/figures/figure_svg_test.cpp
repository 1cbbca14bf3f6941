#include "analysis/figures/figure_svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "analysis/figure_rows.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::size_t occurrences(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++count;
  return count;
}

std::string draw(const std::vector<ResultRow>& rows, FigureKind kind) {
  SvgFigures figures;
  return figures.draw(plan_figure(kind, rows), "Title", "id");
}

TEST(SvgFigures, TellEveryPointsLineRankParametersMeanIntervalRunsAndDivergence) {
  std::vector<ResultRow> rows = two_tasks();
  rows.push_back(result("cola", "lora", "4", 9, 4000, std::nan("")));
  const std::string html = draw(rows, FigureKind::parameter_efficiency);
  // 60, 62, 64: mean 62, deviation 2, t(2) = 4.3027.
  EXPECT_THAT(html, HasSubstr("<title>lora&#10;rank 4&#10;4,000 adapter parameters&#10;Matthews "
                              "correlation × 100: 62&#10;95% interval 57.032 to 66.968&#10;4 "
                              "runs, 1 diverged</title>"));
  EXPECT_EQ(occurrences(html, "<div class=\"panel\">"), 2u);
  // Of each task two lines of two points and two references that can be pointed at in three places.
  EXPECT_EQ(occurrences(html, "<title>"), 2u * (4 + 2 * 3));
}

TEST(SvgFigures, SaySoWhereAnIntervalIsUnknownAndWhereAllRunsDiverged) {
  const std::vector<ResultRow> rows = {result("cola", "lora", "4", 1, 4000, 0.5),
                                       result("cola", "lotr", "4", 1, 900, std::nan(""))};
  const std::string html = draw(rows, FigureKind::parameter_efficiency);
  EXPECT_THAT(html, AllOf(HasSubstr(": 50&#10;95% interval unknown&#10;1 run, 0 diverged"),
                          HasSubstr("none, all runs diverged&#10;1 run, 1 diverged"),
                          HasSubstr("class=\"c\"")));
}

TEST(SvgFigures, ShowNamesWithMarkupAsText) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) {
    if (row.method == "lotr") row.method = "<script>x</script>\"&\n\xff";
    row.task = "</svg>" + row.task;
  }
  const std::string html = draw(rows, FigureKind::parameter_efficiency);
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script>")), Not(HasSubstr("\xff")),
                          HasSubstr("&lt;script&gt;x&lt;/script&gt;&quot;&amp;")));
  EXPECT_EQ(occurrences(html, "</svg>"), occurrences(html, "<svg "));
}

TEST(SvgFigures, StayInsideTheirPictures) {
  std::vector<ResultRow> rows = two_tasks();
  rows.push_back(result("cola", "lora", "4", 4, 4000, -0.9));  // a wide interval
  const std::string html = draw(rows, FigureKind::rank);
  EXPECT_THAT(html, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf "))));
  for (std::size_t at = html.find("class=\"p\" d=\"M"); at != html.npos;
       at = html.find("class=\"p\" d=\"M", at + 1)) {
    double x = -1, y = -1;
    ASSERT_EQ(std::sscanf(html.c_str() + at, "class=\"p\" d=\"M%lf %lf", &x, &y), 2);
    if (x == 16 && y == 7) continue;  // of the legend
    EXPECT_TRUE(x >= 50 && x <= 388) << x;
    EXPECT_TRUE(y >= 26 && y <= 244) << y;
  }
}

TEST(SvgFigures, TellNoIntervalBeyondWhatAScoreCanBe) {
  const std::string html =
      draw({result("sst2", "lora", "1", 0, 1000, 0.90), result("sst2", "lora", "1", 1, 1000, 0.98)},
           FigureKind::parameter_efficiency);
  EXPECT_THAT(html, HasSubstr("95% interval 43.175 to 100&#10;"));
}

TEST(SvgFigures, MarkRunsThatGaveOneAnswer) {
  std::vector<ResultRow> rows = {result("sst2", "lora", "1", 0, 1000, 0.5)};
  EXPECT_THAT(draw(rows, FigureKind::parameter_efficiency), Not(HasSubstr("class=\"c\"")));
  rows[0].constant_predictions = true;
  EXPECT_THAT(draw(rows, FigureKind::parameter_efficiency),
              AllOf(HasSubstr("class=\"p o\""), HasSubstr("class=\"c\""),
                    HasSubstr("1 of them gave every row one answer")));
}

TEST(SvgFigures, ShowManyIntervalsAsBarsAndRunsAsDots) {
  FigurePlan shown = plan_figure(FigureKind::parameter_efficiency, two_tasks());
  const auto count = [&](Spread spread, const char* part) {
    shown.spread = spread;
    SvgFigures figures;
    return occurrences(figures.draw(shown, "Title", "id"), part);
  };
  // Two panels of two lines of two points of three runs; references have bands of their own.
  EXPECT_EQ(count(Spread::bars, "class=\"e\""), 8u);
  EXPECT_EQ(count(Spread::band, "class=\"e\""), 0u);
  EXPECT_EQ(count(Spread::dots, "class=\"q\""), 24u);
}

TEST(SvgFigures, HaveTheColoursOfMethodsInLightAndLegibleOnesInDark) {
  SvgFigures figures;
  figures.draw(plan_figure(FigureKind::rank, two_tasks()), "Title", "id");
  const std::string rules = figures.colour_rules();
  for (const char* method : {"lora", "lotr"})
    EXPECT_THAT(rules, HasSubstr("{--k:" + method_style(method, 0).colour + ";"));
  const std::string dark = rules.substr(rules.find("dark"));
  EXPECT_THAT(dark, Not(HasSubstr(method_style("lora", 0).colour)));
}

TEST(GroupedCount, PutsACommaAfterEveryThirdDigit) {
  EXPECT_EQ(grouped_count(0), "0");
  EXPECT_EQ(grouped_count(999), "999");
  EXPECT_EQ(grouped_count(1000), "1,000");
  EXPECT_EQ(grouped_count(1234567), "1,234,567");
  EXPECT_EQ(grouped_count(-100), "-100");
  EXPECT_EQ(grouped_count(-1000), "-1,000");
}

}  // namespace
}  // namespace rankfold
