#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// `text` without the blanks (space, tab, line ends) at both of its ends. A view into `text`.
std::string_view trim(std::string_view text);

/// The parts of `text` between `separator`s, as they are: "a,,b" has three, "" has one empty part.
std::vector<std::string> split(std::string_view text, char separator);

/// The parts with `separator` between them.
std::string join(std::span<const std::string> parts, std::string_view separator);

/// The number that the whole of `text` spells in base 10, whatever the locale; nothing where it is
/// empty, holds anything else (blanks included), or does not fit into Number. Instantiated for int,
/// long, long long, their unsigned counterparts, float and double; "inf" and "nan" are no numbers.
template <class Number>
std::optional<Number> parse_number(std::string_view text);

/// The length in bytes of the UTF-8 character that `text` begins with; 0 where it begins with none
/// (Unicode 15, table 3-7: no overlong form, no surrogate, nothing above U+10FFFF).
std::size_t utf8_length(std::string_view text);

/// The offset of the first byte that no such character covers.
std::optional<std::size_t> find_invalid_utf8(std::string_view text);

/// The characters of UTF-8 text, not its bytes.
std::size_t character_count(std::string_view text);

/// `text` for a one-line message: control characters as \n, \t or \x1b, at most `limit` bytes (cut
/// between UTF-8 characters, "..." at the end where something was left out).
std::string printable(std::string_view text, std::size_t limit = 2000);

/// Whether `pattern` fits all of `name`: * any characters, ? one.
bool fits_pattern(std::string_view pattern, std::string_view name);

}  // namespace rankfold
