#pragma once

#include <string>
#include <string_view>

namespace rankfold {

enum class FigureFormat { pdf, png, svg, tex };

/// What gnuplot's terminals for the formats differ in: fonts, sizes, how text is written.
class FigureTerminal {
 public:
  explicit FigureTerminal(FigureFormat format) : format_(format) {}

  /// The command that chooses the terminal, for a page of this size in points.
  std::string set_up(double width, double height) const;
  /// gnuplot's words for a font; a TeX figure has the paper's.
  std::string font(double size, bool bold = false) const;
  /// `shown` as a string of gnuplot's that is drawn as it is.
  std::string text(std::string_view shown) const;
  /// gnuplot's size of a point type (2, or 4 to 15), so that all look equally large.
  double marker_size(int marker) const;

 private:
  FigureFormat format_;
};

}  // namespace rankfold
