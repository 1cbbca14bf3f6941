#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace rankfold {

/// GPT-2's alphabet (Radford et al., 2019): every byte as one printable character. Bytes of the
/// printable characters of Latin-1 are themselves, the others are U+0100, U+0101, ... in order.

/// Appends the character of each byte.
void append_byte_characters(std::string_view bytes, std::string& out);

/// The byte that a character stands for.
std::optional<char> byte_of_character(char32_t character);

}  // namespace rankfold
