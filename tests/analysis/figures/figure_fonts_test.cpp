#include "analysis/figures/figure_fonts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/figures/label_placement.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::string refusal(const std::vector<std::string>& texts, const std::string& fonts) {
  return message_of<Error>([&] { expect_fonts_for(texts, FontCoverage(fonts)); });
}

TEST(CodePoints, AreUnicodesNumbers) {
  EXPECT_THAT(code_points("a\u00e9\u4f4e\U0001f600\xff"),
              ElementsAre(U'a', U'\u00e9', U'\u4f4e', U'\U0001f600', U'?'));
}

TEST(FontCoverage, JoinsTheRangesOfOutlineFonts) {
  const FontCoverage fonts("TrueType|20-7e a0\nCFF|7f-9f 3b1\nPCF|4f4e\n\nTrueType|\n");
  for (const char32_t c : {0x20, 0x7e, 0x7f, 0xa0, 0x3b1}) EXPECT_TRUE(fonts.has(c));
  for (const char32_t c : {0x1f, 0xa1, 0x3b0, 0x3b2, 0x4f4e}) EXPECT_FALSE(fonts.has(c));
}

TEST(FontCoverage, NeedsNoFontForWhatIsDrawnAsNothing) {
  const FontCoverage fonts("TrueType|20-7e\n");
  for (const char32_t c : {0x200b, 0x200d, 0x200f, 0xfe0f, 0xfeff, 0xe0001})
    EXPECT_TRUE(fonts.has(c));
}

TEST(FontCoverage, OfAMachineHasTheSignsOfOurOwnTexts) {
  const FontCoverage fonts = FontCoverage::of_machine();
  for (const char32_t c : code_points("Az0\u00d7\u00b1\u2212\u2026\u2019\u2070\u207b\u2191\u2193"))
    EXPECT_TRUE(fonts.has(c)) << static_cast<unsigned>(c);
}

TEST(ExpectedFonts, AreNamedWithTheTextAndAPackage) {
  const std::string latin = "TrueType|20-7e\n";
  EXPECT_THAT(refusal({"lora", "\u4f4e\u79e9"}, latin),
              AllOf(HasSubstr("'\u4f4e\u79e9'"), HasSubstr("U+4F4E"), HasSubstr("fonts-noto-cjk"),
                    HasSubstr(".svg")));
  EXPECT_THAT(refusal({"\U0001f600"}, latin), HasSubstr("fonts-noto-color-emoji"));
  EXPECT_THAT(refusal({"\u0e01"}, latin), HasSubstr("fonts-noto-core"));
  EXPECT_THAT(refusal({"\ud55c"}, latin), HasSubstr("fonts-noto-cjk"));
  expect_fonts_for({"lora", "", "\n\x01", "\xff"}, FontCoverage(latin));
}

TEST(DejavuWidth, IsThatOfWideCharactersAndOfNoneForCombiningOnes) {
  EXPECT_DOUBLE_EQ(dejavu_width("\u4f4e\u79e9", 10), 20);
  EXPECT_DOUBLE_EQ(dejavu_width("e\u0301", 10), dejavu_width("e", 10));
}

class FigureText : public testing::Test {
 protected:
  void SetUp() override {
    if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
  }
  std::string drawn(const std::string& method, const std::string& ending) const {
    FigureRequest request{.kind = "parameter-efficiency",
                          .rows = {result("sst2", method, "1", 0, 1000, 0.5)},
                          .out = folder_.path / ("figure" + ending)};
    draw_figure(request);
    return read_text(request.out);
  }
  const TemporaryFolder folder_;
};

TEST_F(FigureText, StaysInSvgWhateverTheFonts) {
  EXPECT_THAT(drawn("\u4f4e\u79e9 \U0010fffd", ".svg"), HasSubstr("\u4f4e\u79e9 \U0010fffd"));
}

TEST_F(FigureText, ThatNoFontHasIsRefusedInPngAndPdf) {
  // The last character for private use: no font has it.
  for (const char* ending : {".png", ".pdf"}) {
    EXPECT_THAT(message_of<Error>([&] { drawn("x\U0010fffd", ending); }), HasSubstr("U+10FFFD"));
    EXPECT_FALSE(std::filesystem::exists(folder_.path / ("figure" + std::string(ending))));
  }
}

TEST_F(FigureText, ThatTexHasNoLettersForIsRefusedAndGreekIsMathematics) {
  EXPECT_THAT(message_of<Error>([&] { drawn("\u4f4e\u79e9", ".tex"); }),
              AllOf(HasSubstr("U+4F4E"), HasSubstr("Latin")));
  EXPECT_THAT(drawn("\u03b1-lora \u00fc", ".tex"), HasSubstr("$\\alpha$-lora \u00fc"));
}

}  // namespace
}  // namespace rankfold
