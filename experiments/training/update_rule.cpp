#include "experiments/training/update_rule.h"

#include <algorithm>
#include <cmath>

#include "experiments/training/training_state.h"

namespace rankfold {

void save_values(const Device& device, std::span<const TrainedSpan> tensors,
                 const std::string& prefix, TrainingState& state) {
  for (const TrainedSpan& tensor : tensors) {
    const HostRead<float> values(device, tensor.value.data(), tensor.value.size());
    state.floats[prefix + tensor.name].assign(values.begin(), values.end());
  }
}

void restore_values(const Device& device, std::span<const TrainedSpan> tensors,
                    const std::string& prefix, const TrainingState& state) {
  for (const TrainedSpan& tensor : tensors) {
    const auto values = state.floats_at(prefix + tensor.name, tensor.value.size());
    device.upload(values.data(), values.size_bytes(), tensor.value.data());
  }
}

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
