#pragma once

#include <cstddef>

// What reading settings and completing them share; nothing else includes it.

namespace rankfold {

/// The largest rank, count or size that settings may ask for: no factor of a real model comes near
/// it, and products of sizes stay within 64 bits.
inline constexpr std::size_t largest_setting = 1'000'000;
/// Bytes of what was given that an error repeats.
inline constexpr std::size_t shown_bytes = 80;

}  // namespace rankfold
