#include "experiments/tasks/text_lines.h"

#include <cstdint>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {

std::string read_rows_text(const std::filesystem::path& file) {
  std::string text = read_text(file);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  if (text.empty()) throw Error("{}: found an empty file, expected rows", printable(file.string()));
  for (const TextLine& line : lines_of(text)) {
    if (const auto offset = find_invalid_utf8(line.text)) {
      throw Error("{}: found byte 0x{:02X} at position {}, expected valid UTF-8",
                  place_of(file, line.number), static_cast<std::uint8_t>(line.text[*offset]),
                  *offset + 1);
    }
    if (const std::size_t zero = line.text.find('\0'); zero != std::string_view::npos)
      throw Error("{}: found byte 0x00 at position {}, expected text without it",
                  place_of(file, line.number), zero + 1);
  }
  return text;
}

std::vector<TextLine> lines_of(std::string_view text) {
  std::vector<TextLine> lines;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back({number, line});
  }
  return lines;
}

std::string place_of(const std::filesystem::path& file, std::size_t line) {
  return fmt::format("{}:{}", printable(file.string()), line);
}

std::string in_quotes(std::string_view cell) {
  constexpr std::size_t longest = 60;
  return fmt::format("'{}'", printable(cell, longest));
}

}  // namespace rankfold
