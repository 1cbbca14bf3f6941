#include "analysis/sheet.h"

#include <gtest/gtest.h>

namespace rankfold {
namespace {

Sheet example() {
  return {{{"method"}, {"score", true}},
          {{{"lora"}, {"9.5", "0.25", "1 diverged"}}, {{"a_b|<&"}, {"12.0", "?", "", true}}},
          {"note 100 %"}};
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

}  // namespace
}  // namespace rankfold
