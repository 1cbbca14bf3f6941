#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/figures/tex_figure.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(TexText, LeavesNothingThatTexReadsAsACommand) {
  EXPECT_EQ(tex_text("a_b & 50% #1 $x$ {y} ^2 ~"),
            "a\\_b \\& 50\\% \\#1 \\$x\\$ \\{y\\} \\textasciicircum{}2 \\textasciitilde{}");
  EXPECT_EQ(tex_text("\\input{x}"), "\\textbackslash{}input\\{x\\}");
  EXPECT_EQ(tex_text("10\u207b\u00b3"), "10$^{-}$$^{3}$");
  EXPECT_EQ(tex_text("F1 \u00d7 100, \u22125"), "F1 $\\times$ 100, $-$5");
  EXPECT_EQ(tex_text("caf\u00e9"), "caf\u00e9");
}

TEST(TexFigure, NeedsNothingOfGnuplotsAndHasNoDate) {
  const std::string figure = finish_tex_figure(
      "\\begin{tikzpicture}[gnuplot]\n%% generated with GNUPLOT 5.4\n%% Thu Nov 26\n"
      "\\gpcolor{color=gp lt color border}\n\\end{tikzpicture}\n");
  EXPECT_THAT(figure, AllOf(Not(HasSubstr("Nov")), HasSubstr("\\def\\gpcolor"),
                            HasSubstr("\\begingroup"), HasSubstr("\\end{tikzpicture}\n")));
}

class Paper : public testing::Test {
 protected:
  void SetUp() override {
    if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
  }
  std::string reason(const std::vector<PaperFigure>& figures, const std::string& kind) const {
    for (const PaperFigure& figure : figures) {
      if (figure.kind == kind) return figure.reason;
    }
    return "no such kind";
  }
  const TemporaryFolder folder_;
};

TEST_F(Paper, HoldsEveryKindThatTheRowsAllow) {
  const std::vector<PaperFigure> figures =
      draw_paper({.kind = "", .rows = two_tasks(), .out = ""}, folder_.path / "paper");
  EXPECT_EQ(reason(figures, "parameter-efficiency"), "");
  EXPECT_EQ(reason(figures, "rank"), "");
  EXPECT_THAT(reason(figures, "depth"), HasSubstr("adapted layers"));
  EXPECT_THAT(reason(figures, "cost"), HasSubstr("tokens_per_second"));
  EXPECT_THAT(reason(figures, "spectrum"), HasSubstr("diagnose --spectrum"));
  const std::string document = read_text(folder_.path / "paper/figures.tex");
  EXPECT_THAT(document,
              AllOf(HasSubstr("\\input{\\figurefolder parameter-efficiency.tex}"),
                    HasSubstr("\\begin{figure*}"),
                    HasSubstr("\\caption{Score against parameters. Model: tiny. Mean of 3 seeds"),
                    HasSubstr("95\\% interval"),
                    HasSubstr("% Left out: depth, error, cost, learning-rate,"),
                    Not(HasSubstr("test:")), Not(HasSubstr(folder_.path.string()))));
  EXPECT_THAT(read_text(folder_.path / "paper/rank.pdf"), testing::StartsWith("%PDF-"));
  // The note is in the caption, and not twice.
  EXPECT_THAT(read_text(folder_.path / "paper/rank.tex"), Not(HasSubstr("Mean of 3 seeds")));
}

TEST_F(Paper, LeavesOutWhatHasNoLine) {
  std::vector<ResultRow> rows;
  for (ResultRow row : two_tasks()) {
    row.adapted_layers = 2;
    if (row.rank != "4") rows.push_back(row);
  }
  const std::vector<PaperFigure> figures =
      draw_paper({.kind = "", .rows = rows, .out = ""}, folder_.path);
  EXPECT_EQ(reason(figures, "parameter-efficiency"), "");
  EXPECT_THAT(reason(figures, "rank"), HasSubstr("no line has two points along 'rank'"));
  EXPECT_THAT(reason(figures, "depth"), HasSubstr("two numbers of adapted layers"));
}

TEST_F(Paper, IsRefusedWhereNothingCanBeDrawn) {
  EXPECT_THROW(draw_paper({.kind = "", .rows = {}, .out = ""}, folder_.path / "paper"), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_.path / "paper"));
}

TEST_F(Paper, DrawsHostileNamesAsText) {
  std::vector<ResultRow> rows;
  for (const std::string name :
       {"\\immediate\\write18{touch trap}", "a_b^c%", "$$", "}{", "caf\u00e9,\"x\""}) {
    for (const std::string rank : {"1", "2"}) {
      rows.push_back(result(name, name, rank, 0, 1000 * std::stoi(rank), 0.5));
    }
  }
  FigureRequest request{.kind = "rank", .rows = rows, .out = folder_.path / "a.tex"};
  draw_figure(request);
  const std::string figure = read_text(request.out);
  EXPECT_THAT(figure, AllOf(HasSubstr("\\textbackslash{}immediate"), HasSubstr("a\\_b"),
                            Not(HasSubstr("\\immediate")), Not(HasSubstr("\\write"))));
}

}  // namespace
}  // namespace rankfold
