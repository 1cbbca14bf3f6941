#include "experiments/training/update_rule.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace rankfold {

double gradient_norm(std::span<const TrainedSpan> tensors) {
  double sum = 0;
  for (const TrainedSpan& tensor : tensors) {
    const float* gradient = tensor.gradient.data();
    double lanes[8] = {};
    const std::size_t size = tensor.gradient.size();
    std::size_t i = 0;
    for (; i + 8 <= size; i += 8) {
      for (std::size_t lane = 0; lane < 8; ++lane) {
        const double g = gradient[i + lane];
        lanes[lane] += g * g;
      }
    }
    for (; i < size; ++i) lanes[0] += static_cast<double>(gradient[i]) * gradient[i];
    for (double lane : lanes) sum += lane;
  }
  return std::sqrt(sum);
}

double clip_scale(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

}  // namespace rankfold
