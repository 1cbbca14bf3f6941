#include "analysis/checksum.h"

#include <array>

namespace rankfold {
namespace {

constexpr std::array<std::uint32_t, 256> make_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1u) ? 0x82f63b78u : 0u);
    table[byte] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> table = make_table();

}  // namespace

std::uint32_t crc32c(const void* bytes, std::size_t size) {
  const auto* data = static_cast<const unsigned char*>(bytes);
  std::uint32_t value = 0xffffffffu;
  for (std::size_t i = 0; i < size; ++i) value = (value >> 8) ^ table[(value ^ data[i]) & 0xffu];
  return ~value;
}

std::uint32_t masked_crc32c(const void* bytes, std::size_t size) {
  const std::uint32_t value = crc32c(bytes, size);
  return ((value >> 15) | (value << 17)) + 0xa282ead8u;
}

}  // namespace rankfold
