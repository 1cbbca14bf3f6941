#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace rankfold {

/// FNV-1a, 64 bits (Fowler, Noll, Vo: offset basis 14695981039346656037, prime 1099511628211): the
/// same on every machine. Give the hash so far to go on with more bytes.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t hash = 14695981039346656037U) {
  for (const char byte : bytes) hash = (hash ^ static_cast<unsigned char>(byte)) * 1099511628211U;
  return hash;
}

/// XXH64 with seed 0 (Collet, "XXH64 algorithm description"): for megabytes, some ten times faster
/// than fnv1a.
std::uint64_t content_hash(std::span<const std::byte> bytes);

}  // namespace rankfold
