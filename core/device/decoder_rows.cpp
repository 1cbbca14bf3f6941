#include <algorithm>
#include <cmath>
#include <limits>

#include "core/device/row_kernels.h"
#include "core/device/vector_math.h"

// Loops over rows that decoders have beside encoders.

namespace rankfold {
namespace {

struct Moments {
  float mean, deviation_inverse;
};

[[gnu::always_inline]] inline Moments moments(std::size_t n, bool centred, float epsilon,
                                              const float* x) {
  const auto count = static_cast<float>(n);
  float mean = 0;
  if (centred) {
#pragma omp simd reduction(+ : mean)
    for (std::size_t i = 0; i < n; ++i) mean += x[i];
    mean /= count;
  }
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, 1.0f / std::sqrt(squares / count + epsilon)};
}

}  // namespace

RANKFOLD_VECTOR_VARIANTS void add_residual_row(std::size_t n, const float* z, const float* bias,
                                               const float* keep, const float* residual,
                                               float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = residual[i] + keep[i] * (z[i] + bias[i]);
}

RANKFOLD_VECTOR_VARIANTS void normalise_row(std::size_t n, bool centred, float epsilon,
                                            const float* x, const float* weight, const float* shift,
                                            float* out) {
  const auto [mean, inverse] = moments(n, centred, epsilon, x);
  if (shift) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * inverse * weight[i] + shift[i];
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = (x[i] - mean) * inverse * weight[i];
  }
}

RANKFOLD_VECTOR_VARIANTS void normalised_row_backward(std::size_t n, bool centred, float epsilon,
                                                      const float* d_out, const float* x,
                                                      const float* weight, bool add, float* dx) {
  const auto [mean, inverse] = moments(n, centred, epsilon, x);
  float d_mean = 0, slope = 0;
#pragma omp simd reduction(+ : d_mean, slope)
  for (std::size_t i = 0; i < n; ++i) {
    const float d = d_out[i] * weight[i];
    d_mean += d;
    slope += d * (x[i] - mean);
  }
  d_mean = centred ? d_mean / static_cast<float>(n) : 0.0f;
  slope *= inverse * inverse / static_cast<float>(n);
  if (add) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i)
      dx[i] += inverse * (d_out[i] * weight[i] - d_mean - (x[i] - mean) * slope);
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i)
      dx[i] = inverse * (d_out[i] * weight[i] - d_mean - (x[i] - mean) * slope);
  }
}

RANKFOLD_VECTOR_VARIANTS void turn_row(std::size_t half, const float* cosines, const float* sines,
                                       bool back, float* x) {
  const float sign = back ? -1.0f : 1.0f;
  float* const second = x + half;
#pragma omp simd
  for (std::size_t i = 0; i < half; ++i) {
    const float a = x[i], b = second[i], sine = sign * sines[i];
    x[i] = a * cosines[i] - b * sine;
    second[i] = b * cosines[i] + a * sine;
  }
}

RANKFOLD_VECTOR_VARIANTS double cross_entropy_row(std::size_t n, std::size_t label, float scale,
                                                  bool keep, float* x) {
  // Float sums of so many numbers keep their digits; what they add up to is a double.
  constexpr std::size_t part = 4096;
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::size_t i = 0; i < n; ++i) largest = largest < x[i] ? x[i] : largest;
  const double at_label = x[label];
  double total = 0;
  for (std::size_t begin = 0; begin < n; begin += part) {
    const std::size_t count = std::min(part, n - begin);
    float* const values = x + begin;
    float sum = 0;
    if (keep) {
#pragma omp simd reduction(+ : sum)
      for (std::size_t i = 0; i < count; ++i) {
        values[i] = vector_exp(values[i] - largest);
        sum += values[i];
      }
    } else {
#pragma omp simd reduction(+ : sum)
      for (std::size_t i = 0; i < count; ++i) sum += vector_exp(values[i] - largest);
    }
    total += sum;
  }
  if (keep) {
    const auto factor = static_cast<float>(scale / total);
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) x[i] *= factor;
    x[label] -= scale;
  }
  return std::log(total) + largest - at_label;
}

}  // namespace rankfold
