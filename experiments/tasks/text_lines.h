#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// The content of a text file of rows, without its byte order mark. Throws Error naming the file,
/// and the line and position of a byte: missing or empty file, invalid UTF-8, a zero byte.
std::string read_rows_text(const std::filesystem::path& file);

struct TextLine {
  std::size_t number = 0;  ///< 1-based
  std::string_view text;   ///< without its LF and a CR before that
};

/// The lines of a text, which must outlive them; the last one may lack its LF.
std::vector<TextLine> lines_of(std::string_view text);

/// FILE:LINE for the start of a message.
std::string place_of(const std::filesystem::path& file, std::size_t line);

/// A cell or line in quotes for a message, shortened.
std::string in_quotes(std::string_view cell);

}  // namespace rankfold
