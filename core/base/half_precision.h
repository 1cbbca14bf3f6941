#pragma once

#include <bit>
#include <cstdint>

namespace rankfold {

/// bfloat16: the upper half of a float. Exact.
inline float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

/// IEEE 754 half precision: 1 sign, 5 exponent (bias 15), 10 fraction bits. Exact.
inline float from_f16(std::uint16_t bits) {
  const std::uint32_t sign = (bits & 0x8000u) << 16, exponent = (bits >> 10) & 31u,
                      fraction = bits & 1023u;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t shifted = exponent == 31 ? 255 : exponent - 15 + 127;
  return std::bit_cast<float>(sign | shifted << 23 | fraction << 13);
}

}  // namespace rankfold
