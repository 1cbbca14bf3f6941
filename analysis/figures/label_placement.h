#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

namespace rankfold {

/// A rectangle in points (1/72 inch), origin at the lower left of a panel.
struct Box {
  double left = 0, bottom = 0, right = 0, top = 0;
};

/// Finds places for small labels in a panel: greedy, each label at the least crowded of the
/// places around its point, never on another label.
class LabelPlacer {
 public:
  LabelPlacer(double width, double height) : width_(width), height_(height) {}

  /// A line or marker that labels should keep off.
  void add_segment(double x0, double y0, double x1, double y1);
  void add_marker(double x, double y, double radius);

  /// The box of a label of this size beside the point, or nothing where every place is taken by
  /// other labels, outside the panel, or lies over more than `most_crowding` of lines and markers
  /// (a line across a label counts about 20). Later labels keep off it.
  std::optional<Box> place_beside(double x, double y, double width, double height,
                                  double most_crowding = INFINITY);
  /// The same for a label on a horizontal line at `y`: above or below it, preferably at an end, and
  /// on none of the horizontal lines at `others`.
  std::optional<Box> place_along(double y, double width, double height,
                                 const std::vector<double>& others = {});
  /// The same for a label at the lower or upper edge, the first of them next to it.
  std::optional<Box> place_at_edge(bool lower, double width, double height);

 private:
  struct Dot {
    double x, y;
  };
  std::optional<Box> place(const std::vector<Box>& candidates, double most_crowding = INFINITY);
  double crowding(const Box& box) const;

  double width_, height_;
  std::vector<Dot> ink_;  // lines as dots
  std::vector<Box> markers_, labels_;
};

/// The width of a text in DejaVu Sans of this size, estimated, or of the wide characters of another
/// font; svg.h's text_width is a bound for
/// any face.
double dejavu_width(const std::string& text, double font_size);

}  // namespace rankfold
