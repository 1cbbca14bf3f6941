#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// Text as it may stand in XML: markup escaped, characters that XML has not (control characters,
/// bytes that are no UTF-8) as U+FFFD.
std::string escape_xml(std::string_view text);

/// How wide a line of text is at most in a common sans-serif face, in pixels.
double text_width(std::string_view text, double size);

struct Point {
  double x = 0, y = 0;
};

/// A drawing of a few shapes, in whole pixels, so that its bytes are the same everywhere. What is
/// drawn in a higher layer hides what is in a lower one, whatever came first.
class Svg {
 public:
  enum class Layer { frames, lines, boxes, labels };
  enum class Anchor { start, middle, end };

  struct TextStyle {
    double size = 12;
    Anchor anchor = Anchor::middle;
    bool bold = false, italic = false;
    const char* colour = "#222222";
    bool background = false;  ///< a white one, which interrupts lines below
  };
  struct BoxStyle {
    const char* fill = "#ffffff";
    const char* stroke = "#444444";
    bool dashed = false;
    double radius = 6, width = 1.5;
  };

  void line(Point from, Point to, double width = 1.5);
  void path(std::string_view commands);
  void polyline(const std::vector<Point>& points);
  void arrow(Point from, Point to);
  /// From `from` up to `height` above it, and down to `to`.
  void arc(Point from, Point to, double top);
  void box(Layer layer, double x, double y, double width, double height, const BoxStyle& style);
  void dot(Point centre, double radius = 3.5);
  /// `at` is on the line's middle height.
  void text(Point at, std::string_view line, const TextStyle& style);

  /// The whole document on a white background with rounded corners, `title` for who cannot see it.
  std::string document(double width, double height, std::string_view title) const;

 private:
  std::array<std::string, 4> layers_;
  std::string& layer(Layer layer) { return layers_[static_cast<std::size_t>(layer)]; }
};

/// Text as a string of JavaScript or JSON that may stand in a <script> of a page: no "</script",
/// "<!--", line or paragraph separator; bytes that are no UTF-8 become U+FFFD.
std::string script_string(std::string_view text);

}  // namespace rankfold
