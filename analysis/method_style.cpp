#include "analysis/method_style.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <string_view>

#include <fmt/core.h>

#include "core/hash.h"

namespace rankfold {
namespace {

constexpr std::array<std::string_view, 7> colours = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                     "#e69f00", "#56b4e9", "#000000"};

constexpr std::array<const char*, 5> dashes = {"1", "(16,8)", "(4,8)", "(24,8,4,8)", "(8,6)"};

/// gnuplot's point types, filled and open.
struct Marker {
  int filled, open;
};
constexpr Marker circle{7, 6}, square{5, 4}, triangle{9, 8}, diamond{13, 12}, pentagon{15, 14},
    inverted{11, 10};
constexpr std::array<Marker, 6> markers = {circle, square, triangle, diamond, pentagon, inverted};

struct Entry {
  std::string_view method;
  int colour;
  Marker marker;
};
constexpr std::array table = {Entry{"lora", 0, circle},
                              Entry{"lotr", 1, square},
                              Entry{"lorta", 2, triangle},
                              Entry{"loretta_rep", 3, diamond},
                              Entry{"loretta_adp", 4, inverted},
                              Entry{"tenslora", 5, pentagon},
                              Entry{"full", 6, circle},
                              Entry{"none", 6, square},
                              Entry{"dora", 6, diamond},
                              Entry{"bora", 0, square},
                              Entry{"map", 1, triangle},
                              Entry{"fact_tt", 2, diamond},
                              Entry{"fact_tk", 3, circle},
                              Entry{"metatt", 4, circle},
                              Entry{"cara", 5, square},
                              Entry{"loha", 0, triangle},
                              Entry{"lokr", 1, diamond},
                              Entry{"vera", 2, circle},
                              Entry{"quanta", 3, square},
                              Entry{"fourierft", 4, triangle},
                              Entry{"hira", 5, diamond},
                              Entry{"pissa", 0, inverted},
                              Entry{"adalora", 1, pentagon},
                              Entry{"loretta", 3, pentagon},
                              Entry{"tucker3", 5, circle},
                              Entry{"tt_lora", 6, triangle},
                              Entry{"tensor_ring", 5, triangle},
                              Entry{"block_term", 4, square},
                              Entry{"randlora", 6, pentagon},
                              Entry{"lora_xs", 2, square},
                              Entry{"adapters", 2, pentagon},
                              Entry{"bitfit", 6, inverted},
                              Entry{"p-tuning", 1, circle},
                              Entry{"prefix-tuning", 5, inverted},
                              Entry{"prompt-tuning", 3, triangle},
                              Entry{"ia3", 4, diamond},
                              Entry{"dlrt", 0, diamond},
                              Entry{"nola", 4, pentagon}};

int channel(const std::string& colour, int index) {
  return std::stoi(colour.substr(static_cast<std::size_t>(1 + 2 * index), 2), nullptr, 16);
}

/// `share` of b, the rest of a.
std::string mix(const std::string& a, const std::string& b, double share) {
  std::string mixed = "#";
  for (int i = 0; i < 3; ++i) {
    const double value = (1 - share) * channel(a, i) + share * channel(b, i);
    mixed += fmt::format("{:02x}", static_cast<int>(std::lround(value)));
  }
  return mixed;
}

/// From dark blue to yellow, of even steps in lightness (viridis, by five of its colours).
std::string colour_of_scale(double place) {
  const std::array<std::string, 5> scale = {"#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"};
  const double at = std::clamp(place, 0.0, 1.0) * 3.6;  // the last yellow is too light for a line
  const auto below = static_cast<std::size_t>(at);
  return mix(scale[below], scale[below + 1], at - static_cast<double>(below));
}

/// A name has the same style on every machine.
std::uint64_t hash(std::string_view text) {
  const std::uint64_t value = fnv1a(text);
  return value ^ (value >> 29);
}

}  // namespace

MethodStyle method_style(const std::string& method, int variant) {
  const auto known = std::find_if(table.begin(), table.end(),
                                  [&](const Entry& entry) { return entry.method == method; });
  std::size_t colour = hash(method) % colours.size();
  Marker marker = markers[hash(method) / colours.size() % markers.size()];
  if (known != table.end()) {
    colour = static_cast<std::size_t>(known->colour);
    marker = known->marker;
  }
  const bool filled = variant % 2 == 0;
  return {std::string(colours[colour]), filled ? marker.filled : marker.open,
          dashes[static_cast<std::size_t>(variant) % dashes.size()]};
}

MethodStyle line_style(const LineLook& look) {
  MethodStyle style = method_style(look.method, look.variant);
  if (look.published) {
    // Open markers stand one below their filled ones.
    const bool filled = style.marker % 2 == 1;
    return {"#8c8c8c", filled ? style.marker - 1 : style.marker, "1"};
  }
  if (look.shade) return {colour_of_scale(*look.shade), circle.filled, dashes[0]};
  return style;
}

std::string pale(const std::string& colour) {
  return mix(colour, "#ffffff", 0.6);
}

std::pair<int, std::string> method_order(const std::string& method) {
  const auto known = std::find_if(table.begin(), table.end(),
                                  [&](const Entry& entry) { return entry.method == method; });
  return {static_cast<int>(known - table.begin()), method};
}

}  // namespace rankfold
