#include "experiments/training/optimizer.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"

namespace rankfold {
namespace {

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

Optimizer::Optimizer(const OptimizerSettings& settings, std::vector<TrainedSpan> tensors,
                     std::shared_ptr<const Device> device)
    : settings_(settings), tensors_(std::move(tensors)), device_(std::move(device)) {
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
      first_moments_.emplace_back(device_, tensor.value.size());
      second_moments_.emplace_back(device_, tensor.value.size());
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
    if (settings_.kind == OptimizerKind::adamw)
      device_->adamw(adam, tensor.value.size(), tensor.gradient.data(),
                     first_moments_[index].data(), second_moments_[index].data(),
                     tensor.value.data());
    else
      device_->sgd(static_cast<float>(learning_rate), static_cast<float>(settings_.weight_decay),
                   static_cast<float>(gradient_scale), tensor.value.size(), tensor.gradient.data(),
                   tensor.value.data());
  }
  return true;
}

}  // namespace rankfold
