#include "analysis/figures/method_style.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "analysis/figures/colour_contrast.h"
#include "core/base/hash.h"
#include "experiments/runs/results.h"

namespace rankfold {
namespace {

/// The last two are for full and none.
constexpr std::array<std::string_view, 14> colours = {
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#332288",
    "#999933", "#b2182b", "#c2188c", "#661100", "#003c30", "#000000", "#6e6e6e"};
constexpr std::size_t shared_colours = colours.size() - 2;

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
  std::size_t colour;
  Marker marker;
  std::size_t dash = 0;  ///< of its first line
};
constexpr std::array table = {Entry{"lora", 0, circle},
                              Entry{"lotr", 1, square},
                              Entry{"lorta", 2, triangle},
                              Entry{"loretta_rep", 3, diamond},
                              Entry{"loretta_adp", 4, inverted},
                              Entry{"tenslora", 5, pentagon},
                              Entry{"full", 12, circle},
                              Entry{"none", 13, square, 2},
                              Entry{"dora", 6, diamond},
                              Entry{"bora", 6, square, 4},
                              Entry{"map", 6, triangle, 3},
                              Entry{"fact_tt", 7, triangle},
                              Entry{"fact_tk", 7, inverted, 4},
                              Entry{"metatt", 11, circle},
                              Entry{"cara", 11, square, 4},
                              Entry{"loha", 9, triangle},
                              Entry{"lokr", 10, diamond},
                              Entry{"vera", 8, triangle},
                              Entry{"quanta", 3, square, 4},
                              Entry{"fourierft", 4, triangle, 4},
                              Entry{"hira", 5, diamond, 4},
                              Entry{"pissa", 0, inverted, 4},
                              Entry{"adalora", 1, pentagon, 4},
                              Entry{"loretta", 3, pentagon, 3},
                              Entry{"tucker3", 5, circle, 3},
                              Entry{"tt_lora", 9, square, 4},
                              Entry{"tensor_ring", 10, triangle, 4},
                              Entry{"block_term", 4, square, 3},
                              Entry{"randlora", 8, pentagon, 4},
                              Entry{"lora_xs", 2, square, 4},
                              Entry{"adapters", 6, pentagon, 3},
                              Entry{"bottleneck", 6, inverted, 1},
                              Entry{"bitfit", 9, inverted, 3},
                              Entry{"p-tuning", 1, circle, 3},
                              Entry{"prefix", 8, inverted, 1},
                              Entry{"prefix-tuning", 8, inverted, 3},
                              Entry{"prompt", 10, pentagon, 1},
                              Entry{"prompt-tuning", 10, pentagon, 3},
                              Entry{"ia3", 11, triangle, 3},
                              Entry{"dlrt", 0, diamond, 3},
                              Entry{"nola", 7, pentagon, 3}};

/// From dark blue to yellow, of even steps in lightness (viridis, by five of its colours).
std::string colour_of_scale(double place) {
  const std::array<std::string, 5> scale = {"#440154", "#3b528b", "#21918c", "#5ec962", "#fde725"};
  const double at = std::clamp(place, 0.0, 1.0) * 3.6;  // the last yellow is too light for a line
  const auto below = static_cast<std::size_t>(at);
  return mix_colours(scale[below], scale[below + 1], at - static_cast<double>(below));
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
  const std::uint64_t drawn = hash(method);
  Entry entry{method, drawn % shared_colours, markers[drawn / shared_colours % markers.size()],
              1 + drawn / shared_colours / markers.size() % (dashes.size() - 1)};
  if (known != table.end()) entry = *known;
  const bool filled = variant % 2 == 0;
  return {std::string(colours[entry.colour]), filled ? entry.marker.filled : entry.marker.open,
          dashes[(entry.dash + static_cast<std::size_t>(variant)) % dashes.size()]};
}

MethodStyle line_style(const LineLook& look) {
  MethodStyle style = method_style(look.method, look.variant);
  if (look.published) {
    // Open markers stand one below their filled ones.
    const bool filled = style.marker % 2 == 1;
    return {"#8c8c8c", filled ? style.marker - 1 : style.marker, "1"};
  }
  if (look.muted) return {"#c4c4c4", style.marker, dashes[0]};
  if (look.shade) return {colour_of_scale(*look.shade), circle.filled, dashes[0]};
  return style;
}

std::string pale(const std::string& colour) {
  return mix_colours(colour, light_page, 0.6);
}

const char* reference_dash(const std::string& method) {
  if (method == "none") return "(2,10)";
  return method == "full" ? "(16,12)" : "(16,8,4,8)";
}

std::pair<int, std::string> method_order(const std::string& method) {
  const auto known = std::find_if(table.begin(), table.end(),
                                  [&](const Entry& entry) { return entry.method == method; });
  return {static_cast<int>(known - table.begin()), method};
}

std::pair<double, std::string> rank_order(const std::string& rank) {
  return {rank_position(rank).value_or(0), rank};
}

}  // namespace rankfold
