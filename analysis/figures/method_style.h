#pragma once

#include <optional>
#include <string>
#include <utility>

namespace rankfold {

/// How a method is drawn, in every figure alike: a function of its name (and of which line of the
/// method it is), not of what else is drawn. The first six colours are Okabe and Ito's (Color
/// Universal Design, 2008), six more were chosen to be far from them and from each other for people
/// with and without colour vision deficiencies; black and grey are for `full` and `none` alone.
/// Methods of one colour differ in marker and dashes.
struct MethodStyle {
  std::string colour;  ///< "#0072b2"
  int marker = 7;      ///< gnuplot's point type
  std::string dash;    ///< gnuplot's dash type: 1 for none, or lengths of strokes and gaps
};

/// The style of a method's line; a name that is not in the table gets one derived from its bytes.
MethodStyle method_style(const std::string& method, int variant);

/// Whose line it is and what tells it from others of the method.
struct LineLook {
  std::string method;
  int variant = 0;                   ///< 0, 1, ... among the legend entries of its method
  bool published = false;            ///< from a paper: grey and hollow, behind the others
  bool muted = false;                ///< another panel is about it: thin and grey
  std::optional<double> shade = {};  ///< instead of a method's colour, one of a scale from 0 to 1
};
MethodStyle line_style(const LineLook& look);

/// The colour mixed with white, for markers that shall stand back.
std::string pale(const std::string& colour);

/// gnuplot's dash type of a horizontal reference.
const char* reference_dash(const std::string& method);

/// Methods of the table first, in its order, then the others by name.
std::pair<int, std::string> method_order(const std::string& method);

/// What ranks are sorted by: as numbers (rank_position), then as text.
std::pair<double, std::string> rank_order(const std::string& rank);

}  // namespace rankfold
