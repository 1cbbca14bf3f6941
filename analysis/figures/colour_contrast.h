#pragma once

#include <string>

namespace rankfold {

/// Colours are "#rrggbb". The pages that figures stand on.
inline constexpr const char* light_page = "#ffffff";
inline constexpr const char* dark_page = "#15181c";

/// `share` of b, the rest of a.
std::string mix_colours(const std::string& a, const std::string& b, double share);

/// WCAG 2.2's contrast ratio, 1 to 21: (L1 + 0.05) / (L2 + 0.05) of the relative luminances, the
/// lighter above.
double contrast_ratio(const std::string& a, const std::string& b);

/// The colour of a line or marker on the page: itself on a light one; on a dark one with as much
/// white as it needs to be seen (contrast above 5).
std::string stroke_colour(const std::string& colour, const std::string& page);

/// The colour of small text on the page: a line's colour with as much of black (white on a dark
/// page) as gives a contrast of 4.5; pale, where it is to stand back, with one of at least 3.
std::string label_colour(const std::string& colour, const std::string& page, bool pale);

}  // namespace rankfold
