#include "core/base/random.h"

#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <utility>

#include "core/base/hash.h"

namespace rankfold {
namespace {

using Words = std::array<std::uint32_t, 4>;

std::uint64_t mix(std::uint64_t bits) {
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
  return bits ^ (bits >> 31);
}

std::array<std::uint32_t, 2> halves(std::uint64_t bits) {
  return {static_cast<std::uint32_t>(bits), static_cast<std::uint32_t>(bits >> 32)};
}

std::uint64_t half_of(const Words& words, std::uint64_t half) {
  return words[2 * half] | std::uint64_t{words[2 * half + 1]} << 32;
}

double to_uniform(std::uint64_t bits) {
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

}  // namespace

RandomStream::RandomStream(std::uint64_t seed, std::string_view purpose, std::uint64_t index) {
  const std::uint64_t hash = fnv1a(purpose);
  key_ = halves(mix(seed ^ mix(hash)));
  stream_ = halves(mix(index ^ mix(hash + 0x9E3779B97F4A7C15)));
}

double RandomStream::uniform(std::uint64_t position) const {
  return to_uniform(half_of(block(position / 2), position % 2));
}

double RandomStream::normal(std::uint64_t position) const {
  const Words words = block(position);
  // 1 - u lies in (0, 1], where the logarithm is finite.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - to_uniform(half_of(words, 0))));
  return radius * std::cos(2.0 * std::numbers::pi * to_uniform(half_of(words, 1)));
}

std::vector<std::size_t> RandomStream::permutation(std::size_t n) const {
  std::vector<std::size_t> order(n);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::uint64_t position = 0;
  for (std::size_t last = n; last > 1; --last) {
    // A draw beyond the largest multiple of `last` would favour small remainders: draw again.
    const std::uint64_t surplus = (std::numeric_limits<std::uint64_t>::max() % last + 1) % last;
    std::uint64_t draw;
    do {
      draw = half_of(block(position / 2), position % 2);
      ++position;
    } while (draw > std::numeric_limits<std::uint64_t>::max() - surplus);
    std::swap(order[last - 1], order[draw % last]);
  }
  return order;
}

template <class Real>
void RandomStream::fill_uniform(std::span<Real> values, double low, double high) const {
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<Real>(low + (high - low) * uniform(i));
}

template <class Real>
void RandomStream::fill_normal(std::span<Real> values, double mean, double deviation) const {
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<Real>(mean + deviation * normal(i));
}

template void RandomStream::fill_uniform(std::span<float>, double, double) const;
template void RandomStream::fill_uniform(std::span<double>, double, double) const;
template void RandomStream::fill_normal(std::span<float>, double, double) const;
template void RandomStream::fill_normal(std::span<double>, double, double) const;

}  // namespace rankfold
