#include "analysis/logs/checksum.h"

#include <array>
#include <cstring>

#ifdef __x86_64__
#include <nmmintrin.h>
#endif

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

std::uint32_t update(std::uint32_t value, const unsigned char* data, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) value = (value >> 8) ^ table[(value ^ data[i]) & 0xffu];
  return value;
}

#ifdef __x86_64__
/// By the CPU's own instruction, eight bytes at a time.
__attribute__((target("sse4.2"))) std::uint32_t update_fast(std::uint32_t value,
                                                            const unsigned char* data,
                                                            std::size_t size) {
  for (; size >= 8; data += 8, size -= 8) {
    std::uint64_t word;
    std::memcpy(&word, data, 8);
    value = static_cast<std::uint32_t>(_mm_crc32_u64(value, word));
  }
  for (; size > 0; ++data, --size) value = _mm_crc32_u8(value, *data);
  return value;
}
#endif

}  // namespace

std::uint32_t crc32c(const void* bytes, std::size_t size) {
  const auto* data = static_cast<const unsigned char*>(bytes);
#ifdef __x86_64__
  static const bool fast = __builtin_cpu_supports("sse4.2");
  if (fast) return ~update_fast(0xffffffffu, data, size);
#endif
  return ~update(0xffffffffu, data, size);
}

std::uint32_t masked_crc32c(const void* bytes, std::size_t size) {
  const std::uint32_t value = crc32c(bytes, size);
  return ((value >> 15) | (value << 17)) + 0xa282ead8u;
}

}  // namespace rankfold
