#include "analysis/figures/colour_contrast.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

namespace rankfold {
namespace {

std::array<double, 3> channels(const std::string& colour) {
  std::array<double, 3> found{};
  for (std::size_t i = 0; i < 3; ++i)
    found[i] = std::stoi(colour.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
  return found;
}

/// WCAG's relative luminance.
double luminance(const std::string& colour) {
  const auto linear = [](double c) {
    return c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  const auto [red, green, blue] = channels(colour);
  return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
}

/// The first colour on the way from one to the other with that contrast to the page.
std::string first_with(double contrast, const std::string& from, const std::string& to,
                       const std::string& page) {
  for (int step = 0; step < 20; ++step) {
    const std::string colour = mix_colours(from, to, 0.05 * step);
    if (contrast_ratio(colour, page) >= contrast) return colour;
  }
  return to;
}

std::string ink_of(const std::string& page) {
  return luminance(page) > 0.5 ? "#000000" : "#ffffff";
}

}  // namespace

std::string mix_colours(const std::string& a, const std::string& b, double share) {
  const auto of_a = channels(a), of_b = channels(b);
  std::string mixed = "#";
  for (std::size_t i = 0; i < 3; ++i) {
    const double value = 255 * ((1 - share) * of_a[i] + share * of_b[i]);
    mixed += fmt::format("{:02x}", static_cast<int>(std::lround(value)));
  }
  return mixed;
}

double contrast_ratio(const std::string& a, const std::string& b) {
  const auto [less, more] = std::minmax({luminance(a), luminance(b)});
  return (more + 0.05) / (less + 0.05);
}

std::string stroke_colour(const std::string& colour, const std::string& page) {
  if (ink_of(page) == "#000000") return colour;
  if (colour == "#000000") return "#e4e8ec";  // as ink is
  return first_with(5, colour, "#ffffff", page);
}

std::string label_colour(const std::string& colour, const std::string& page, bool pale) {
  const std::string full = first_with(4.5, colour, ink_of(page), page);
  return pale ? first_with(3.05, mix_colours(full, page, 0.6), full, page) : full;
}

}  // namespace rankfold
