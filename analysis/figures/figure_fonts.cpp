#include "analysis/figures/figure_fonts.h"

#include <algorithm>
#include <charconv>

#include <fmt/core.h>

#include "analysis/figures/drawing_tool.h"
#include "core/base/error.h"
#include "core/base/scratch.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Latin, spacing and punctuation, and the signs of axes and notes.
constexpr const char* without_fontconfig =
    "TrueType|20-24f 2013 2014 2018-201f 2026 2070-207b 2190-2193 2212 2260-2265\n";

/// Unicode's default ignorable characters, which are drawn as nothing.
bool is_ignorable(char32_t c) {
  return c == 0xad || c == 0x34f || c == 0x61c || (c >= 0x180b && c <= 0x180f) ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2060 && c <= 0x2064) ||
         (c >= 0xfe00 && c <= 0xfe0f) || c == 0xfeff || (c >= 0xe0000 && c <= 0xe0fff);
}

bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfffe ||
         c == 0xffff;
}

const char* package_for(char32_t c) {
  const bool is_han = (c >= 0x1100 && c <= 0x11ff) || (c >= 0x2e80 && c <= 0xa4cf) ||
                      (c >= 0xac00 && c <= 0xd7ff) || (c >= 0xf900 && c <= 0xfaff) ||
                      (c >= 0xfe30 && c <= 0xfe4f) || (c >= 0xff00 && c <= 0xffef) ||
                      (c >= 0x20000 && c <= 0x3ffff);
  if (is_han) return "fonts-noto-cjk";
  const bool is_picture = (c >= 0x2600 && c <= 0x27bf) || (c >= 0x1f000 && c <= 0x1faff);
  return is_picture ? "fonts-noto-color-emoji" : "fonts-noto-core";
}

}  // namespace

std::vector<char32_t> code_points(std::string_view text) {
  std::vector<char32_t> characters;
  while (!text.empty()) {
    const std::size_t size = utf8_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    char32_t value = size == 0 ? U'?' : size == 1 ? first : first & (0x7fu >> size);
    for (std::size_t i = 1; i < size; ++i)
      value = (value << 6u) | (static_cast<unsigned char>(text[i]) & 0x3fu);
    characters.push_back(value);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return characters;
}

FontCoverage::FontCoverage(std::string_view list) {
  for (const std::string& font : split(list, '\n')) {
    const std::size_t bar = font.find('|');
    const std::string format = font.substr(0, bar);
    if (bar == std::string::npos || (format != "TrueType" && format != "CFF")) continue;
    for (const std::string& range : split(std::string_view(font).substr(bar + 1), ' ')) {
      const char* end = range.data() + range.size();
      std::uint32_t first = 0, last = 0;
      const auto read = std::from_chars(range.data(), end, first, 16);
      if (read.ec != std::errc()) continue;
      last = first;
      if (read.ptr != end && *read.ptr == '-') std::from_chars(read.ptr + 1, end, last, 16);
      ranges_.emplace_back(first, last);
    }
  }
  // Joined, so that the last range that begins before a character decides.
  std::sort(ranges_.begin(), ranges_.end());
  std::size_t kept = 0;
  for (const auto& range : ranges_) {
    if (kept > 0 && range.first <= ranges_[kept - 1].second + 1)
      ranges_[kept - 1].second = std::max(ranges_[kept - 1].second, range.second);
    else
      ranges_[kept++] = range;
  }
  ranges_.resize(kept);
}

FontCoverage FontCoverage::of_machine() {
  const ScratchFolder folder(drawing_place());
  const ToolResult listed =
      run_drawing_tool(folder.path(), {"fc-list", "--format", "%{fontformat}|%{charset}\n"});
  const bool is_known =
      listed.spawn_error == 0 && listed.exit_status == 0 && !listed.output.empty();
  return FontCoverage(is_known ? listed.output : without_fontconfig);
}

bool FontCoverage::has(char32_t character) const {
  if (is_ignorable(character)) return true;
  const auto after =
      std::upper_bound(ranges_.begin(), ranges_.end(), character,
                       [](char32_t value, const std::pair<char32_t, char32_t>& range) {
                         return value < range.first;
                       });
  return after != ranges_.begin() && character <= (after - 1)->second;
}

void expect_fonts_for(const std::vector<std::string>& texts, const FontCoverage& coverage) {
  for (const std::string& text : texts) {
    for (const char32_t character : code_points(text)) {
      // Control characters are drawn as question marks (gnuplot_text).
      if (is_control(character) || coverage.has(character)) continue;
      throw Error(
          "'{}': no font of this machine has U+{:04X}: install one that has (Debian: apt-get "
          "install {}), or draw .svg, which leaves the font to who looks at it",
          printable(text, 120), static_cast<std::uint32_t>(character), package_for(character));
    }
  }
}

}  // namespace rankfold
