#include "analysis/tables/sheet.h"

#include <gtest/gtest.h>

namespace rankfold {
namespace {

Sheet example() {
  Sheet sheet;
  sheet.columns = {{"method"}, {"score", true}};
  sheet.set_rows(
      {{{"lora"}, {"9.5", "0.25", "1 diverged"}}, {{"a_b|<&"}, {"12.0", "?", "", true}}});
  sheet.notes = {"note 100 %"};
  return sheet;
}

Sheet with_marks() {
  Sheet sheet;
  sheet.columns = {{"score", true}};
  sheet.set_rows({{{"9.5", "0.5", "", true, "9.0", "\u2020"}}});
  return sheet;
}

TEST(Sheet, IsAlignedByCharactersAsText) {
  EXPECT_EQ(sheet_text(example()),
            "method                    score\n"
            "lora    9.5 \u00b1 0.25 (1 diverged)\n"
            "a_b|<&                12.0* \u00b1 ?\n"
            "\n"
            "note 100 %\n");
}

TEST(Sheet, EscapesMarkupInMarkdown) {
  EXPECT_EQ(sheet_markdown(example()),
            "| method | score |\n"
            "| --- | ---: |\n"
            "| lora | 9.5 \u00b1 0.25 (1 diverged) |\n"
            "| a\\_b\\|\\<& | **12.0** \u00b1 ? |\n"
            "\n"
            "note 100 %\n");
}

TEST(Sheet, EscapesCommandsInLatex) {
  EXPECT_EQ(sheet_latex(example()),
            "\\begin{tabular}{lr}\n"
            "\\toprule\n"
            "method & score \\\\\n"
            "\\midrule\n"
            "lora & 9.5 {\\footnotesize$\\pm$0.25} {\\footnotesize(1 diverged)} \\\\\n"
            "a\\_b$|$$<$\\& & \\textbf{12.0} {\\footnotesize$\\pm$?} \\\\\n"
            "\\bottomrule\n"
            "\\end{tabular}\n"
            "% note 100 %\n");
}

TEST(Sheet, ShowsSidesThatDifferAndMarks) {
  EXPECT_EQ(sheet_text(with_marks()), "          score\n9.5*\u2020 -9.0/+0.5\n");
  EXPECT_EQ(sheet_markdown(with_marks()), "| score |\n| ---: |\n| **9.5**\u2020 -9.0/+0.5 |\n");
  EXPECT_NE(sheet_latex(with_marks())
                .find("\\textbf{9.5}\\textsuperscript{\u2020} "
                      "{\\footnotesize$_{-9.0}^{+0.5}$} \\\\"),
            std::string::npos);
}

}  // namespace
}  // namespace rankfold
