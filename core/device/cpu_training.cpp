#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "core/device/cpu_device.h"
#include "core/device/normals.h"

namespace rankfold {
namespace {

// Below this size a parallel region costs more than it saves.
constexpr std::size_t parallel_size = 1 << 16;

}  // namespace

void CpuDevice::adamw(const AdamStep& step, std::size_t n, const float* gradient, float* first,
                      float* second, float* value) const {
  const auto count = static_cast<std::int64_t>(n);
  const AdamStep s = step;
#pragma omp parallel for simd if (n >= parallel_size)
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * s.gradient_scale + s.penalty * value[i];
    first[i] += (1.0F - s.beta1) * (g - first[i]);
    second[i] = s.beta2 * second[i] + (1.0F - s.beta2) * g * g;
    const float denominator = std::sqrt(second[i]) / s.root_correction + s.epsilon;
    value[i] = value[i] * s.decay - s.step_size * first[i] / denominator;
  }
}

void CpuDevice::sgd(float rate, float decay, float gradient_scale, std::size_t n,
                    const float* gradient, float* value) const {
  const auto count = static_cast<std::int64_t>(n);
#pragma omp parallel for simd if (n >= parallel_size)
  for (std::int64_t i = 0; i < count; ++i)
    value[i] -= rate * (gradient[i] * gradient_scale + decay * value[i]);
}

void CpuDevice::add_normals(const RandomStream& stream, float keep, float scale, std::size_t n,
                            const float* from, float* to) const {
  constexpr std::size_t chunk = 1024;
  const auto chunks = static_cast<std::int64_t>((n + chunk - 1) / chunk);
#pragma omp parallel for if (n >= parallel_size / 16)
  for (std::int64_t index = 0; index < chunks; ++index) {
    const std::size_t begin = static_cast<std::size_t>(index) * chunk;
    const std::size_t count = std::min(chunk, n - begin);
    std::array<float, chunk> z;
    draw_normals(stream, begin / 4, (count + 3) / 4, z.data());
#pragma omp simd
    for (std::size_t i = 0; i < count; ++i) to[begin + i] = keep * from[begin + i] + scale * z[i];
  }
}

double CpuDevice::add_squares(std::size_t n, const float* x, double sum) const {
  double lanes[8] = {};
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t lane = 0; lane < 8; ++lane) {
      const double value = x[i + lane];
      lanes[lane] += value * value;
    }
  for (; i < n; ++i) lanes[0] += static_cast<double>(x[i]) * x[i];
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace rankfold
