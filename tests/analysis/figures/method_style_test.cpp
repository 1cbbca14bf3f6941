#include "analysis/figures/method_style.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <string>
#include <tuple>

#include "analysis/figures/colour_contrast.h"

namespace rankfold {
namespace {

using Triple = std::array<double, 3>;

const std::array<std::string, 12> twelve = {"lora", "lotr",    "lorta",  "loretta_rep",
                                            "dora", "fact_tt", "metatt", "loretta_adp",
                                            "loha", "lokr",    "vera",   "tenslora"};

Triple linear_rgb(const std::string& colour) {
  Triple channels{};
  for (std::size_t i = 0; i < 3; ++i) {
    const double c = std::stoi(colour.substr(1 + 2 * i, 2), nullptr, 16) / 255.0;
    channels[i] = c <= 0.04045 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  }
  return channels;
}

Triple product(const std::array<Triple, 3>& matrix, const Triple& x) {
  Triple y{};
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < 3; ++j) y[i] += matrix[i][j] * x[j];
  return y;
}

/// CIELAB, white D65.
Triple lab(const Triple& rgb) {
  const Triple xyz =
      product({{{.4124, .3576, .1805}, {.2126, .7152, .0722}, {.0193, .1192, .9505}}}, rgb);
  const auto f = [](double t) {
    return t > 0.008856 ? std::cbrt(t) : 7.787 * std::max(t, 0.0) + 16.0 / 116;
  };
  const double x = f(xyz[0] / 0.9505), y = f(xyz[1]), z = f(xyz[2] / 1.089);
  return {116 * y - 16, 500 * (x - y), 200 * (y - z)};
}

double distance(const Triple& a, const Triple& b) {
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

// Of people without red and without green cones (Machado, Oliveira, Fernandes, 2009, severity 1).
constexpr std::array<Triple, 3> no_red = {{{0.152286, 1.052583, -0.204868},
                                           {0.114503, 0.786281, 0.099216},
                                           {-0.003882, -0.048116, 1.051998}}};
constexpr std::array<Triple, 3> no_green = {{{0.367322, 0.860646, -0.227968},
                                             {0.280085, 0.672501, 0.047413},
                                             {-0.011820, 0.042940, 0.968881}}};

TEST(MethodStyle, KeepsTwelveMethodsApartForEverybody) {
  for (std::size_t i = 0; i < twelve.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const MethodStyle a = method_style(twelve[i], 0), b = method_style(twelve[j], 0);
      const Triple of_a = linear_rgb(a.colour), of_b = linear_rgb(b.colour);
      EXPECT_GT(distance(lab(of_a), lab(of_b)), 25) << twelve[i] << " " << twelve[j];
      for (const auto& eyes : {no_red, no_green}) {
        const double seen = distance(lab(product(eyes, of_a)), lab(product(eyes, of_b)));
        EXPECT_GT(seen, 12) << twelve[i] << " " << twelve[j];
        EXPECT_TRUE(seen > 15 || a.marker != b.marker) << twelve[i] << " " << twelve[j];
      }
    }
  }
}

TEST(MethodStyle, GivesEveryNamedMethodALookOfItsOwn) {
  std::set<std::tuple<std::string, int>> looks;
  for (const char* method :
       {"lora",       "lotr",    "lorta",       "loretta_rep", "loretta_adp", "tenslora",
        "full",       "none",    "dora",        "bora",        "map",         "fact_tt",
        "fact_tk",    "metatt",  "cara",        "loha",        "lokr",        "vera",
        "quanta",     "hira",    "fourierft",   "pissa",       "adalora",     "loretta",
        "tucker3",    "tt_lora", "tensor_ring", "block_term",  "randlora",    "lora_xs",
        "bottleneck", "bitfit",  "prefix",      "prompt",      "ia3",         "dlrt"}) {
    const MethodStyle style = method_style(method, 0);
    EXPECT_TRUE(looks.emplace(style.colour, style.marker).second) << method;
    EXPECT_LT(method_order(method), method_order("a method of its own")) << method;
  }
}

TEST(MethodStyle, KeepsBlackAndGreyForFullAndNone) {
  for (const std::string& method : twelve) {
    for (const char* reference : {"full", "none"})
      EXPECT_NE(method_style(method, 0).colour, method_style(reference, 0).colour);
  }
  for (const char* own : {"mine", "yours", "dora(lotr)", "x1", "x2", "x3", "x4", "x5"})
    EXPECT_NE(method_style(own, 0).colour, method_style("full", 0).colour) << own;
}

TEST(ColourContrast, IsThatOfWcag) {
  EXPECT_NEAR(contrast_ratio("#000000", "#ffffff"), 21, 1e-9);
  EXPECT_NEAR(contrast_ratio("#ffffff", "#777777"), 4.478, 1e-3);
  EXPECT_EQ(contrast_ratio("#123456", "#123456"), 1);
}

TEST(ColourContrast, OfLabelsIsLegibleInLightAndDark) {
  std::vector<std::string> methods(twelve.begin(), twelve.end());
  methods.insert(methods.end(), {"full", "none", "bora", "hira", "somebody's own"});
  for (const std::string& method : methods) {
    const std::string colour = method_style(method, 0).colour;
    for (const char* page : {light_page, dark_page}) {
      EXPECT_GE(contrast_ratio(label_colour(colour, page, false), page), 4.5) << method << page;
      EXPECT_GE(contrast_ratio(label_colour(colour, page, true), page), 3) << method << page;
    }
    EXPECT_GE(contrast_ratio(stroke_colour(colour, dark_page), dark_page), 4.5) << method;
    // Pale ones stand back.
    EXPECT_LT(contrast_ratio(label_colour(colour, light_page, true), light_page),
              contrast_ratio(label_colour(colour, light_page, false), light_page));
  }
}

}  // namespace
}  // namespace rankfold
