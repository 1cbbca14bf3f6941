#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace rankfold {

/// Philox4x32 with 10 rounds: a bijection of the 128-bit counter for every 64-bit key, whose output
/// passes the usual batteries of tests. Words are listed least significant first.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
constexpr std::array<std::uint32_t, 4> philox4x32_10(std::array<std::uint32_t, 4> counter,
                                                     std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

/// Counter-based random numbers (Philox4x32-10; Salmon et al., SC 2011): the value at a position is
/// a function of (seed, purpose, index, position) alone, never of the order of calls. A purpose is
/// a name such as "initialise/lora/A.0" or "shuffle"; index addresses repetitions (epoch, step).
///
/// With h = FNV-1a of the purpose (64 bits) and m = the finaliser of SplitMix64 (a bijection), the
/// key is m(seed xor m(h)) and the upper half of the counter m(index xor m(h + 2^64 / golden
/// ratio)); the lower half counts blocks. So within a purpose no two (seed, index) share a stream,
/// and two purposes under one seed never share a key unless their 64-bit hashes are equal.
///
/// bits, uniform and normal read the same blocks: a stream is meant for one of them.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index = 0);

  /// Four independent 32-bit words at block `block` (positions 4 block .. 4 block + 3).
  std::array<std::uint32_t, 4> block(std::uint64_t block) const {
    return philox4x32_10({static_cast<std::uint32_t>(block),
                          static_cast<std::uint32_t>(block >> 32), stream_[0], stream_[1]},
                         key_);
  }
  std::uint32_t bits(std::uint64_t position) const { return block(position / 4)[position % 4]; }
  /// Uniform in [0, 1) with 53 bits. A block holds two: positions 2 block and 2 block + 1.
  double uniform(std::uint64_t position) const;
  /// Standard normal (Box-Muller on the two uniforms of block `position`).
  double normal(std::uint64_t position) const;
  /// A permutation of 0 .. n-1 (Fisher-Yates), uniform over all of them.
  std::vector<std::size_t> permutation(std::size_t n) const;

  /// values[i] = low + (high - low) uniform(i) and values[i] = mean + deviation normal(i), computed
  /// in double and rounded to Real (float or double): both precisions hold the same numbers. The
  /// rounding of a float may reach `high`. Overwrites.
  template <class Real>
  void fill_uniform(std::span<Real> values, double low, double high) const;
  template <class Real>
  void fill_normal(std::span<Real> values, double mean, double deviation) const;

 private:
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 2> stream_;
};

}  // namespace rankfold
