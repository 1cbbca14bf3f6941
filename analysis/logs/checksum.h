#pragma once

#include <cstddef>
#include <cstdint>

namespace rankfold {

/// CRC-32C (Castagnoli; reflected polynomial 0x82f63b78, initial value and final xor 0xffffffff;
/// RFC 3720, appendix B.4). "123456789" gives 0xe3069283.
std::uint32_t crc32c(const void* bytes, std::size_t size);

/// The form in which TFRecord files store a checksum: rotated right by 15 bits, plus 0xa282ead8.
std::uint32_t masked_crc32c(const void* bytes, std::size_t size);

}  // namespace rankfold
