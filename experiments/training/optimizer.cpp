#include "experiments/training/optimizer.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/base/error.h"

namespace rankfold {
namespace {

// Below this size a parallel region costs more than it saves.
constexpr std::size_t parallel_size = 1 << 16;

struct AdamStep {
  float decay, beta1, beta2, step_size, root_correction, epsilon, gradient_scale;
};

void adamw_step(const AdamStep& step, std::size_t size, const float* gradient, float* value,
                float* first, float* second) {
  const auto count = static_cast<std::int64_t>(size);
#pragma omp parallel for simd if (size >= parallel_size)
  for (std::int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * step.gradient_scale;
    first[i] += (1.0F - step.beta1) * (g - first[i]);
    second[i] = step.beta2 * second[i] + (1.0F - step.beta2) * g * g;
    const float denominator = std::sqrt(second[i]) / step.root_correction + step.epsilon;
    value[i] = value[i] * step.decay - step.step_size * first[i] / denominator;
  }
}

void sgd_step(float learning_rate, float decay, float gradient_scale, std::size_t size,
              const float* gradient, float* value) {
  const auto count = static_cast<std::int64_t>(size);
#pragma omp parallel for simd if (size >= parallel_size)
  for (std::int64_t i = 0; i < count; ++i) {
    value[i] -= learning_rate * (gradient[i] * gradient_scale + decay * value[i]);
  }
}

void check_range(const char* name, double value, bool valid, const char* expected) {
  if (!valid) throw UsageError("--{} is {}; expected {}", name, value, expected);
}

}  // namespace

OptimizerSettings optimizer_settings(const RunSettings& settings) {
  OptimizerSettings optimizer;
  optimizer.kind = settings.text("optimizer") == "sgd" ? OptimizerKind::sgd : OptimizerKind::adamw;
  optimizer.beta1 = settings.number("beta1");
  optimizer.beta2 = settings.number("beta2");
  optimizer.epsilon = settings.number("epsilon");
  optimizer.weight_decay = settings.number("weight-decay");
  return optimizer;
}

Optimizer::Optimizer(const OptimizerSettings& settings, std::vector<TrainedSpan> tensors)
    : settings_(settings), tensors_(std::move(tensors)) {
  check_range("beta1", settings.beta1, settings.beta1 >= 0 && settings.beta1 < 1, "0 <= beta1 < 1");
  check_range("beta2", settings.beta2, settings.beta2 >= 0 && settings.beta2 < 1, "0 <= beta2 < 1");
  check_range("epsilon", settings.epsilon, settings.epsilon > 0, "a positive number");
  check_range("weight-decay", settings.weight_decay, settings.weight_decay >= 0, "0 or more");
  for (const TrainedSpan& tensor : tensors_) {
    if (tensor.value.size() != tensor.gradient.size()) {
      throw Error("optimizer: tensor '{}' has {} values and {} gradients", tensor.name,
                  tensor.value.size(), tensor.gradient.size());
    }
    if (settings.kind == OptimizerKind::adamw) {
      first_moments_.emplace_back(tensor.value.size(), 0.0F);
      second_moments_.emplace_back(tensor.value.size(), 0.0F);
    }
  }
}

bool Optimizer::step(double learning_rate, double gradient_scale) {
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(settings_.beta1, t);
  const double correction2 = 1 - std::pow(settings_.beta2, t);
  const AdamStep adam{static_cast<float>(1 - learning_rate * settings_.weight_decay),
                      static_cast<float>(settings_.beta1),
                      static_cast<float>(settings_.beta2),
                      static_cast<float>(learning_rate / correction1),
                      static_cast<float>(std::sqrt(correction2)),
                      static_cast<float>(settings_.epsilon),
                      static_cast<float>(gradient_scale)};
  for (std::size_t index = 0; index < tensors_.size(); ++index) {
    const TrainedSpan& tensor = tensors_[index];
    if (settings_.kind == OptimizerKind::adamw) {
      adamw_step(adam, tensor.value.size(), tensor.gradient.data(), tensor.value.data(),
                 first_moments_[index].data(), second_moments_[index].data());
    } else {
      sgd_step(static_cast<float>(learning_rate), static_cast<float>(settings_.weight_decay),
               static_cast<float>(gradient_scale), tensor.value.size(), tensor.gradient.data(),
               tensor.value.data());
    }
  }
  return true;
}

}  // namespace rankfold
