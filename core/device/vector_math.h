#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

// Functions of one float that compilers turn into vector code inside `#pragma omp simd` loops: no
// tables, no branches, no calls.

// Variants of a row loop for plain x86-64, AVX2 and AVX-512; the loader picks one for the CPU.
#define RANKFOLD_VECTOR_VARIANTS \
  [[gnu::target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")]]

namespace rankfold {

/// e^x to 2 units in the last place, for x clamped to [-87, 88]: 2^n times a Taylor polynomial of
/// degree 7 on |r| <= ln(2)/2, where x = n ln(2) + r.
[[gnu::always_inline]] inline float vector_exp(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float rounder = 12582912.0f;
  const float shifted = x * 1.44269504f + rounder;
  const float n = shifted - rounder;
  // ln(2) in two parts, so that n times the first is exact.
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float sum = 1.0f / 5040.0f;
  sum = sum * r + 1.0f / 720.0f;
  sum = sum * r + 1.0f / 120.0f;
  sum = sum * r + 1.0f / 24.0f;
  sum = sum * r + 1.0f / 6.0f;
  sum = sum * r + 0.5f;
  sum = sum * r + 1.0f;
  sum = sum * r + 1.0f;
  return sum * std::bit_cast<float>((std::bit_cast<std::uint32_t>(shifted) << 23) + 0x3F800000u);
}

struct NormalDistribution {
  float cumulative;  ///< Phi(x)
  float density;     ///< phi(x)
};

/// Phi(x) = (1 + erf(x / sqrt 2)) / 2 and phi(x) = Phi'(x) from one exponential: for t = |x|,
/// 1 - Phi(t) = exp(-t^2/2) u P(u) with u = 1 / (1 + 0.21 t) and P of degree 8, a minimax fit of
/// relative error 2.3e-8 over t in [0, 15].
[[gnu::always_inline]] inline NormalDistribution vector_normal(float x) {
  const float t = std::fabs(x);
  const float exponential = vector_exp(-0.5f * t * t);
  const float u = 1.0f / (1.0f + 0.21f * t);
  float sum = -7.094453694e-02f;
  sum = sum * u + 2.800788434e-01f;
  sum = sum * u - 3.228647964e-01f;
  sum = sum * u + 3.407410857e-01f;
  sum = sum * u - 8.775373649e-02f;
  sum = sum * u + 1.221382749e-01f;
  sum = sum * u + 6.992689677e-02f;
  sum = sum * u + 8.495950646e-02f;
  sum = sum * u + 8.371847378e-02f;
  const float tail = exponential * u * sum;
  return {x > 0.0f ? 1.0f - tail : tail, 0.398942280f * exponential};
}

}  // namespace rankfold
