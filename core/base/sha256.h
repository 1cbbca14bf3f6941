#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace rankfold {

/// SHA-256 of the bytes (FIPS 180-4). "abc" gives ba7816bf 8f01cfea ...
std::array<std::uint8_t, 32> sha256(std::string_view bytes);

/// Base64 with padding (RFC 4648, section 4).
std::string base64(std::string_view bytes);

}  // namespace rankfold
