#include "core/device/normals.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

#include "core/device/vector_math.h"

namespace rankfold {
namespace {

/// ln(x) of x in [2^-24, 1]: x = m 2^e with m around 1, ln(m) = 2 artanh((m - 1) / (m + 1)).
[[gnu::always_inline]] inline float vector_log(float x) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
  const std::uint32_t shifted = bits - 0x3F3504F3u;  // that of sqrt(1/2)
  const std::int32_t exponent = static_cast<std::int32_t>(shifted) >> 23;
  const float m = std::bit_cast<float>((shifted & 0x007FFFFFu) + 0x3F3504F3u);
  const float t = (m - 1.0f) / (m + 1.0f), squared = t * t;
  float sum = 1.0f / 9.0f;
  sum = sum * squared + 1.0f / 7.0f;
  sum = sum * squared + 1.0f / 5.0f;
  sum = sum * squared + 1.0f / 3.0f;
  sum = sum * squared + 1.0f;
  return 2.0f * t * sum + static_cast<float>(exponent) * 0.693147181f;
}

struct Point {
  float x, y;
};

/// The point of two words.
[[gnu::always_inline]] inline Point vector_point(std::uint32_t far, std::uint32_t around) {
  const auto share = static_cast<float>(static_cast<std::int32_t>(far >> 8) + 1) * 0x1p-24f;
  const float radius = std::sqrt(-2.0f * vector_log(share));
  // Of a quarter of the circle, from its middle.
  const auto within = static_cast<float>(static_cast<std::int32_t>(around >> 8 & 0x3FFFFFu));
  const float angle = (within * 0x1p-22f - 0.5f) * 1.57079633f, squared = angle * angle;
  float sine = 1.0f / 362880.0f;
  sine = sine * squared - 1.0f / 5040.0f;
  sine = sine * squared + 1.0f / 120.0f;
  sine = sine * squared - 1.0f / 6.0f;
  sine = (sine * squared + 1.0f) * angle;
  float cosine = 1.0f / 40320.0f;
  cosine = cosine * squared - 1.0f / 720.0f;
  cosine = cosine * squared + 1.0f / 24.0f;
  cosine = cosine * squared - 0.5f;
  cosine = cosine * squared + 1.0f;
  const std::uint32_t quarter = around >> 30;
  const bool turned = (quarter & 1u) != 0;
  const float x = turned ? sine : cosine, y = turned ? cosine : sine;
  return {radius * (quarter == 1 || quarter == 2 ? -x : x), radius * (quarter >= 2 ? -y : y)};
}

RANKFOLD_VECTOR_VARIANTS [[gnu::flatten]] void draw_planes(const RandomStream& stream,
                                                           std::uint64_t first, std::size_t blocks,
                                                           float* a, float* b, float* c, float* d) {
  const RandomStream local = stream;
#pragma omp simd
  for (std::size_t i = 0; i < blocks; ++i) {
    const std::array<std::uint32_t, 4> words = local.block(first + i);
    const Point one = vector_point(words[0], words[1]), other = vector_point(words[2], words[3]);
    a[i] = one.x;
    b[i] = one.y;
    c[i] = other.x;
    d[i] = other.y;
  }
}

}  // namespace

void draw_normals(const RandomStream& stream, std::uint64_t first, std::size_t blocks,
                  float* values) {
  constexpr std::size_t chunk = 64;
  std::array<float, 4 * chunk> planes;
  for (std::size_t begin = 0; begin < blocks; begin += chunk) {
    const std::size_t count = std::min(chunk, blocks - begin);
    float* const p = planes.data();
    draw_planes(stream, first + begin, count, p, p + chunk, p + 2 * chunk, p + 3 * chunk);
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t k = 0; k < 4; ++k) values[4 * (begin + i) + k] = planes[k * chunk + i];
  }
}

}  // namespace rankfold
