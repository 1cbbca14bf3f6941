#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rankfold {

/// The characters of UTF-8 text as Unicode's numbers; bytes that are no UTF-8 as question marks.
std::vector<char32_t> code_points(std::string_view text);

/// Which characters fonts can draw: ranges from first to last.
class FontCoverage {
 public:
  /// What `fc-list --format '%{fontformat}|%{charset}\n'` prints: hexadecimal ranges of each font.
  /// Bitmap fonts are passed over: Pango takes outlines alone.
  explicit FontCoverage(std::string_view list);
  /// Of the fonts that fontconfig knows on this machine, with which gnuplot's cairo terminals draw;
  /// Latin letters and the signs of our own texts where fc-list cannot be run.
  static FontCoverage of_machine();

  /// Whether some font has it, or it is drawn as nothing (a joiner, a selector of variants).
  bool has(char32_t character) const;

 private:
  std::vector<std::pair<char32_t, char32_t>> ranges_;
};

/// Pango draws a box with a number for a character that no font has, and gnuplot enlarges that box
/// over the whole figure. Throws Error naming the first of the texts that has such a character, and
/// a package with a font that may have it.
void expect_fonts_for(const std::vector<std::string>& texts, const FontCoverage& coverage);

}  // namespace rankfold
