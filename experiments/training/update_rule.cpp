#include "experiments/training/update_rule.h"

#include <algorithm>
#include <cmath>

namespace rankfold {

double gradient_norm(const Device& device, std::span<const TrainedSpan> tensors) {
  double sum = 0;
  for (const TrainedSpan& tensor : tensors)
    sum = device.add_squares(tensor.gradient.size(), tensor.gradient.data(), sum);
  return std::sqrt(sum);
}

double clip_scale(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

}  // namespace rankfold
