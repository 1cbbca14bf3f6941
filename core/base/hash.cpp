#include "core/base/hash.h"

#include <array>
#include <bit>
#include <cstring>

namespace rankfold {
namespace {

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

constexpr std::uint64_t p1 = 0x9E3779B185EBCA87, p2 = 0xC2B2AE3D27D4EB4F, p3 = 0x165667B19E3779F9,
                        p4 = 0x85EBCA77C2B2AE63, p5 = 0x27D4EB2F165667C5;

template <class Word>
std::uint64_t take_word(std::span<const std::byte>& bytes) {
  Word word;
  std::memcpy(&word, bytes.data(), sizeof word);
  bytes = bytes.subspan(sizeof word);
  return word;
}

std::uint64_t mix(std::uint64_t sum, std::uint64_t word) {
  return std::rotl(sum + word * p2, 31) * p1;
}

}  // namespace

std::uint64_t content_hash(std::span<const std::byte> bytes) {
  const std::uint64_t size = bytes.size();
  std::uint64_t hash = p5;
  if (size >= 32) {
    std::array<std::uint64_t, 4> lanes = {p1 + p2, p2, 0, 0 - p1};
    while (bytes.size() >= 32)
      for (std::uint64_t& lane : lanes) lane = mix(lane, take_word<std::uint64_t>(bytes));
    hash = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
           std::rotl(lanes[3], 18);
    for (const std::uint64_t lane : lanes) hash = (hash ^ mix(0, lane)) * p1 + p4;
  }
  hash += size;
  while (bytes.size() >= 8)
    hash = std::rotl(hash ^ mix(0, take_word<std::uint64_t>(bytes)), 27) * p1 + p4;
  if (bytes.size() >= 4)
    hash = std::rotl(hash ^ (take_word<std::uint32_t>(bytes) * p1), 23) * p2 + p3;
  while (!bytes.empty()) hash = std::rotl(hash ^ (take_word<std::uint8_t>(bytes) * p5), 11) * p1;
  hash = (hash ^ (hash >> 33)) * p2;
  hash = (hash ^ (hash >> 29)) * p3;
  return hash ^ (hash >> 32);
}

}  // namespace rankfold
