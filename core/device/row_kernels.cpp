#include "core/device/row_kernels.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/base/error.h"
#include "core/device/vector_math.h"

namespace rankfold {
namespace {

struct ValueAndSlope {
  float value, slope;
};

[[gnu::always_inline]] inline ValueAndSlope gelu(float x) {
  const NormalDistribution normal = vector_normal(x);
  return {x * normal.cumulative, normal.cumulative + x * normal.density};
}

// (1 + tanh z) / 2 is the logistic function of 2 z.
[[gnu::always_inline]] inline ValueAndSlope gelu_tanh(float x) {
  constexpr float scale = 1.59576912f;  // 2 sqrt(2 / pi)
  const float argument = scale * (x + 0.044715f * x * x * x);
  const float logistic = 1.0f / (1.0f + vector_exp(-argument));
  const float inner_slope = scale * (1.0f + 0.134145f * x * x);
  return {x * logistic, logistic + x * logistic * (1.0f - logistic) * inner_slope};
}

[[gnu::always_inline]] inline ValueAndSlope relu(float x) {
  return {x > 0.0f ? x : 0.0f, x > 0.0f ? 1.0f : 0.0f};
}

[[gnu::always_inline]] inline ValueAndSlope silu(float x) {
  const float logistic = 1.0f / (1.0f + vector_exp(-x));
  const float value = x * logistic;
  return {value, logistic + value * (1.0f - logistic)};
}

// 2 logistic(2 x) - 1
[[gnu::always_inline]] inline ValueAndSlope hyperbolic_tangent(float x) {
  const float value = 2.0f / (1.0f + vector_exp(-2.0f * x)) - 1.0f;
  return {value, 1.0f - value * value};
}

template <ValueAndSlope (*function)(float)>
[[gnu::always_inline]] inline void apply_gated(std::size_t n, const float* gate, const float* up,
                                               float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = function(gate[i]).value * up[i];
}

template <ValueAndSlope (*function)(float)>
[[gnu::always_inline]] inline void apply_gated_backward(std::size_t n, const float* d, float* gate,
                                                        float* up) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const ValueAndSlope result = function(gate[i]);
    gate[i] = d[i] * up[i] * result.slope;
    up[i] = d[i] * result.value;
  }
}

template <ValueAndSlope (*function)(float)>
[[gnu::always_inline]] inline void apply(std::size_t n, const float* x, const float* bias,
                                         float* value, float* derivative) {
  if (!bias) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const ValueAndSlope result = function(x[i]);
      value[i] = result.value;
      if (derivative) derivative[i] = result.slope;
    }
  } else if (derivative) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const ValueAndSlope result = function(x[i] + bias[i]);
      value[i] = result.value;
      derivative[i] = result.slope;
    }
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) value[i] = function(x[i] + bias[i]).value;
  }
}

}  // namespace

HiddenActivation parse_activation(std::string_view name, std::string_view where,
                                  std::string_view key) {
  if (name == "gelu") return HiddenActivation::gelu;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh") return HiddenActivation::gelu_tanh;
  if (name == "relu") return HiddenActivation::relu;
  if (name == "silu" || name == "swish") return HiddenActivation::silu;
  throw Error("{}: {} is '{}', expected {}", where, key, name, activation_names);
}

RANKFOLD_VECTOR_VARIANTS void activate_row(HiddenActivation activation, std::size_t n,
                                           const float* x, const float* bias, float* value,
                                           float* derivative) {
  switch (activation) {
    case HiddenActivation::gelu:
      return apply<gelu>(n, x, bias, value, derivative);
    case HiddenActivation::gelu_tanh:
      return apply<gelu_tanh>(n, x, bias, value, derivative);
    case HiddenActivation::relu:
      return apply<relu>(n, x, bias, value, derivative);
    case HiddenActivation::silu:
      return apply<silu>(n, x, bias, value, derivative);
    case HiddenActivation::tanh:
      return apply<hyperbolic_tangent>(n, x, bias, value, derivative);
  }
}

RANKFOLD_VECTOR_VARIANTS void gated_row(HiddenActivation activation, std::size_t n,
                                        const float* gate, const float* up, float* out) {
  switch (activation) {
    case HiddenActivation::gelu:
      return apply_gated<gelu>(n, gate, up, out);
    case HiddenActivation::gelu_tanh:
      return apply_gated<gelu_tanh>(n, gate, up, out);
    case HiddenActivation::relu:
      return apply_gated<relu>(n, gate, up, out);
    case HiddenActivation::silu:
      return apply_gated<silu>(n, gate, up, out);
    case HiddenActivation::tanh:
      return apply_gated<hyperbolic_tangent>(n, gate, up, out);
  }
}

RANKFOLD_VECTOR_VARIANTS void gated_backward_row(HiddenActivation activation, std::size_t n,
                                                 const float* d, float* gate, float* up) {
  switch (activation) {
    case HiddenActivation::gelu:
      return apply_gated_backward<gelu>(n, d, gate, up);
    case HiddenActivation::gelu_tanh:
      return apply_gated_backward<gelu_tanh>(n, d, gate, up);
    case HiddenActivation::relu:
      return apply_gated_backward<relu>(n, d, gate, up);
    case HiddenActivation::silu:
      return apply_gated_backward<silu>(n, d, gate, up);
    case HiddenActivation::tanh:
      return apply_gated_backward<hyperbolic_tangent>(n, d, gate, up);
  }
}

RANKFOLD_VECTOR_VARIANTS SoftmaxSums softmax_row(std::size_t n, float scale, const float* keep,
                                                 float* x) {
  float largest = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : largest)
  for (std::size_t i = 0; i < n; ++i) largest = largest < x[i] ? x[i] : largest;
  const float offset = largest * scale;
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t i = 0; i < n; ++i) {
    x[i] = vector_exp(x[i] * scale - offset);
    sum += x[i];
  }
  const float inverse = 1.0f / sum;
  if (keep) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) x[i] *= inverse * keep[i];
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) x[i] *= inverse;
  }
  return {offset, inverse};
}

RANKFOLD_VECTOR_VARIANTS void softmax_backward_row(std::size_t n, float scale, SoftmaxSums sums,
                                                   const float* keep, float* scores, float* d) {
  float sum = 0;
  if (keep) {
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < n; ++i) {
      scores[i] = vector_exp(scores[i] * scale - sums.offset) * sums.inverse_sum;
      d[i] *= keep[i];
      sum += scores[i] * d[i];
    }
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      d[i] = scale * scores[i] * (d[i] - sum);
      scores[i] *= keep[i];
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < n; ++i) {
      scores[i] = vector_exp(scores[i] * scale - sums.offset) * sums.inverse_sum;
      sum += scores[i] * d[i];
    }
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) d[i] = scale * scores[i] * (d[i] - sum);
  }
}

RANKFOLD_VECTOR_VARIANTS void pack_kept(std::size_t n, const float* keep, unsigned char* bytes) {
  for (std::size_t begin = 0; begin < n; begin += 128, bytes += 16) {
    std::uint32_t words[16] = {};
    for (std::size_t g = 0; g < 8; ++g)
#pragma omp simd
      for (std::size_t j = 0; j < 16; ++j)
        words[j] |= (keep[begin + 16 * g + j] != 0.0f ? 1u : 0u) << g;
#pragma omp simd
    for (std::size_t j = 0; j < 16; ++j) bytes[j] = static_cast<unsigned char>(words[j]);
  }
}

RANKFOLD_VECTOR_VARIANTS void unpack_kept(std::size_t n, float scale, const unsigned char* bytes,
                                          float* keep) {
  for (std::size_t begin = 0; begin < n; begin += 128, bytes += 16) {
    std::uint32_t words[16];
#pragma omp simd
    for (std::size_t j = 0; j < 16; ++j) words[j] = bytes[j];
    for (std::size_t g = 0; g < 8; ++g)
#pragma omp simd
      for (std::size_t j = 0; j < 16; ++j)
        keep[begin + 16 * g + j] = (words[j] >> g & 1u) != 0 ? scale : 0.0f;
  }
}

RANKFOLD_VECTOR_VARIANTS float add_and_normalise_row(std::size_t n, const float* z,
                                                     const float* bias, const float* keep,
                                                     const float* residual, const float* weight,
                                                     const float* shift, float epsilon,
                                                     float* normalised, float* out) {
  float sum = 0;
  if (residual) {
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = residual[i] + keep[i] * (z[i] + bias[i]);
      sum += out[i];
    }
  } else {
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = keep[i] * (z[i] + bias[i]);
      sum += out[i];
    }
  }
  const float mean = sum / static_cast<float>(n);
  float squares = 0;
#pragma omp simd reduction(+ : squares)
  for (std::size_t i = 0; i < n; ++i) squares += (out[i] - mean) * (out[i] - mean);
  const float inverse = 1.0f / std::sqrt(squares / static_cast<float>(n) + epsilon);
  if (normalised) {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) {
      const float value = (out[i] - mean) * inverse;
      normalised[i] = value;
      out[i] = value * weight[i] + shift[i];
    }
  } else {
#pragma omp simd
    for (std::size_t i = 0; i < n; ++i) out[i] = (out[i] - mean) * inverse * weight[i] + shift[i];
  }
  return inverse;
}

RANKFOLD_VECTOR_VARIANTS void scale_and_shift_row(std::size_t n, const float* normalised,
                                                  const float* weight, const float* shift,
                                                  float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = normalised[i] * weight[i] + shift[i];
}

RANKFOLD_VECTOR_VARIANTS void normalise_backward_row(std::size_t n, const float* d_out,
                                                     const float* normalised,
                                                     float deviation_inverse, const float* weight,
                                                     const float* keep, float* ds, float* dz) {
  float mean = 0, slope = 0;
#pragma omp simd reduction(+ : mean, slope)
  for (std::size_t i = 0; i < n; ++i) {
    const float d = d_out[i] * weight[i];
    mean += d;
    slope += d * normalised[i];
  }
  mean /= static_cast<float>(n);
  slope /= static_cast<float>(n);
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) {
    const float d = deviation_inverse * (d_out[i] * weight[i] - mean - normalised[i] * slope);
    ds[i] = d;
    dz[i] = keep[i] * d;
  }
}

RANKFOLD_VECTOR_VARIANTS void multiply_row(std::size_t n, const float* a, const float* b,
                                           float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = a[i] * b[i];
}

RANKFOLD_VECTOR_VARIANTS void add_rows(std::size_t n, const float* a, const float* b,
                                       const float* c, float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] = a[i] + b[i] + c[i];
}

RANKFOLD_VECTOR_VARIANTS void add_row(std::size_t n, const float* a, float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] += a[i];
}

RANKFOLD_VECTOR_VARIANTS void add_product_row(std::size_t n, const float* a, const float* b,
                                              float* out) {
#pragma omp simd
  for (std::size_t i = 0; i < n; ++i) out[i] += a[i] * b[i];
}

RANKFOLD_VECTOR_VARIANTS void add_indexed_row(std::size_t n, const float* from, std::size_t stride,
                                              const std::uint32_t* index, std::size_t first,
                                              float* out) {
#pragma omp simd
  for (std::size_t j = 0; j < n; ++j) out[j] += from[j * stride + index[j] - first];
}

void add_to_indexed_row(std::size_t n, const float* x, const std::uint32_t* index,
                        std::size_t first, std::size_t stride, float* out) {
  for (std::size_t j = 0; j < n; ++j) out[j * stride + index[j] - first] += x[j];
}

RANKFOLD_VECTOR_VARIANTS bool is_finite_row(std::size_t n, const float* x) {
  // Infinities and NaN have every bit of the exponent set.
  std::uint32_t found = 0;
#pragma omp simd reduction(| : found)
  for (std::size_t i = 0; i < n; ++i)
    found |= (std::bit_cast<std::uint32_t>(x[i]) & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  return found == 0;
}

}  // namespace rankfold
