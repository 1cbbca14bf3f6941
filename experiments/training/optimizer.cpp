#include "experiments/training/optimizer.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "experiments/runs/unread_settings.h"
#include "experiments/training/training_state.h"

namespace rankfold {
namespace {

void check_range(const char* name, double value, bool valid, const char* expected) {
  if (!valid) throw UsageError("--{} is {}; expected {}", name, value, expected);
}

}  // namespace

OptimizerSettings optimizer_settings(const RunSettings& settings) {
  expect_read(settings);
  OptimizerSettings optimizer;
  std::string name = settings.text("optimizer");
  if (name.starts_with("zo-")) {
    name.erase(0, 3);
    optimizer.zero_order = {settings.number("zo-epsilon"), settings.count("zo-samples")};
  }
  if (name != "adamw") optimizer.kind = name == "sgd" ? OptimizerKind::sgd : OptimizerKind::adam;
  optimizer.beta1 = settings.number("beta1");
  optimizer.beta2 = settings.number("beta2");
  optimizer.epsilon = settings.number("epsilon");
  optimizer.weight_decay = settings.number("weight-decay");
  optimizer.groups = parameter_groups(settings);
  return optimizer;
}

void check_optimizer(const OptimizerSettings& settings) {
  check_range("beta1", settings.beta1, settings.beta1 >= 0 && settings.beta1 < 1, "0 <= beta1 < 1");
  check_range("beta2", settings.beta2, settings.beta2 >= 0 && settings.beta2 < 1, "0 <= beta2 < 1");
  check_range("epsilon", settings.epsilon, settings.epsilon > 0, "a positive number");
  check_range("weight-decay", settings.weight_decay, settings.weight_decay >= 0, "0 or more");
}

Optimizer::Optimizer(const OptimizerSettings& settings, std::vector<TrainedSpan> tensors,
                     std::shared_ptr<const Device> device)
    : settings_(settings), tensors_(std::move(tensors)), device_(std::move(device)) {
  check_optimizer(settings);
  for (const TrainedSpan& tensor : tensors_) {
    if (tensor.value.size() != tensor.gradient.size()) {
      throw Error("optimizer: tensor '{}' has {} values and {} gradients", tensor.name,
                  tensor.value.size(), tensor.gradient.size());
    }
    if (settings.kind == OptimizerKind::sgd) continue;
    first_moments_.emplace_back(device_, tensor.value.size());
    second_moments_.emplace_back(device_, tensor.value.size());
  }
}

bool Optimizer::step(double learning_rate, double gradient_scale) {
  ++steps_;
  const auto t = static_cast<double>(steps_);
  const double correction1 = 1 - std::pow(settings_.beta1, t);
  const double correction2 = 1 - std::pow(settings_.beta2, t);
  const auto scale = static_cast<float>(gradient_scale);
  for (std::size_t index = 0; index < tensors_.size(); ++index) {
    const TrainedSpan& tensor = tensors_[index];
    const double rate = learning_rate * tensor.rate;
    const double decay = tensor.decays ? settings_.weight_decay : 0;
    if (settings_.kind == OptimizerKind::sgd) {
      device_->sgd(static_cast<float>(rate), static_cast<float>(decay), scale, tensor.value.size(),
                   tensor.gradient.data(), tensor.value.data());
      continue;
    }
    const bool decoupled = settings_.kind == OptimizerKind::adamw;
    const AdamStep adam{static_cast<float>(decoupled ? 1 - rate * decay : 1),
                        static_cast<float>(settings_.beta1),
                        static_cast<float>(settings_.beta2),
                        static_cast<float>(rate / correction1),
                        static_cast<float>(std::sqrt(correction2)),
                        static_cast<float>(settings_.epsilon),
                        scale,
                        static_cast<float>(decoupled ? 0 : decay)};
    device_->adamw(adam, tensor.value.size(), tensor.gradient.data(), first_moments_[index].data(),
                   second_moments_[index].data(), tensor.value.data());
  }
  return true;
}

void Optimizer::save(TrainingState& state) const {
  state.counts["optimizer/steps"] = steps_;
  for (std::size_t index = 0; index < first_moments_.size(); ++index) {
    const HostRead<float> first(first_moments_[index]), second(second_moments_[index]);
    state.floats["first/" + tensors_[index].name].assign(first.begin(), first.end());
    state.floats["second/" + tensors_[index].name].assign(second.begin(), second.end());
  }
}

void Optimizer::restore(const TrainingState& state) {
  steps_ = state.count_at("optimizer/steps");
  const auto read = [&](const std::string& name, Buffer<float>& moments) {
    const auto values = state.floats_at(name, moments.size());
    device_->upload(values.data(), values.size_bytes(), moments.data());
  };
  for (std::size_t index = 0; index < first_moments_.size(); ++index) {
    read("first/" + tensors_[index].name, first_moments_[index]);
    read("second/" + tensors_[index].name, second_moments_[index]);
  }
}

}  // namespace rankfold
