#include "experiments/training/zero_order.h"

#include "core/base/error.h"
#include "experiments/runs/setting_limits.h"

namespace rankfold {

ZeroOrder::ZeroOrder(const ZeroOrderSettings& settings, std::vector<TrainedSpan> tensors,
                     std::shared_ptr<const Device> device, bool forms)
    : settings_(settings), tensors_(std::move(tensors)), device_(std::move(device)), forms_(forms) {
  if (const SettingLimit& limit = setting_limits::probe_distance; !limit.holds(settings.epsilon))
    throw UsageError("--zo-epsilon is {}; expected {}", settings.epsilon, limit.expected);
  if (settings.samples == 0) throw UsageError("--zo-samples is 0; expected 1 or more");
  projections_.assign(settings.samples, 0);
}

RandomStream ZeroOrder::stream(const TrainedSpan& tensor, std::size_t sample) const {
  return {seed_, "zeroth-order/" + tensor.name, step_ * settings_.samples + sample};
}

/// value = copy + scale z
void ZeroOrder::perturb(std::size_t sample, double scale) const {
  for (const TrainedSpan& tensor : tensors_)
    device_->add_normals(stream(tensor, sample), 1, static_cast<float>(scale), tensor.value.size(),
                         tensor.gradient.data(), tensor.value.data());
}

/// value = copy - scale z of the value that `perturb` has left, without another draw: 2 copy -
/// value, which is as exact.
void ZeroOrder::reflect() const {
  for (const TrainedSpan& tensor : tensors_)
    device_->combine(tensor.value.size(), 2.0f, tensor.gradient.data(), -1.0f, tensor.value.data());
}

/// The batch with what leaves the layers below all that trains, where there are any.
const Batch& ZeroOrder::with_features(Host& host, const Batch& batch) {
  if (host.frozen_layers() == 0 || batch.features.data) return batch;
  features_.resize(batch.tokens() * host.hidden_size());
  const MatrixView<float> rows(features_.data(), batch.tokens(), host.hidden_size());
  host.features(batch, rows);
  shared_ = batch;
  shared_.features = rows;
  return shared_;
}

double ZeroOrder::form_gradients(Host& host, Adapter<float>&, const Batch& batch,
                                 std::uint64_t seed, std::uint64_t step) {
  seed_ = seed;
  step_ = step;
  const Batch& given = with_features(host, batch);
  for (const TrainedSpan& tensor : tensors_)
    device_->copy(tensor.value.data(), tensor.value.size_bytes(), tensor.gradient.data());
  const auto samples = static_cast<double>(settings_.samples);
  double sum = 0;
  for (std::size_t sample = 0; sample < settings_.samples; ++sample) {
    perturb(sample, settings_.epsilon);
    const double above = host.mean_loss(given);
    reflect();
    const double below = host.mean_loss(given);
    projections_[sample] = (above - below) / (2 * settings_.epsilon) / samples;
    sum += above + below;
  }
  for (const TrainedSpan& tensor : tensors_)
    device_->copy(tensor.gradient.data(), tensor.value.size_bytes(), tensor.value.data());
  if (forms_) write_gradients();
  return sum / (2 * samples);
}

void ZeroOrder::write_gradients() const {
  for (const TrainedSpan& tensor : tensors_) {
    device_->fill(tensor.gradient.size(), 0.0f, tensor.gradient.data());
    for (std::size_t sample = 0; sample < settings_.samples; ++sample)
      device_->add_normals(stream(tensor, sample), 1, static_cast<float>(projections_[sample]),
                           tensor.gradient.size(), tensor.gradient.data(), tensor.gradient.data());
  }
}

void ZeroOrder::replay(std::span<const double> projections, std::uint64_t seed,
                       std::uint64_t step) {
  if (projections.size() != settings_.samples)
    throw Error("zeroth order: a step of {} projected gradients, expected {}", projections.size(),
                settings_.samples);
  projections_.assign(projections.begin(), projections.end());
  seed_ = seed;
  step_ = step;
  if (forms_) write_gradients();
}

void ZeroOrder::descend(const TrainedSpan& tensor, double keep, double rate) const {
  for (std::size_t sample = 0; sample < settings_.samples; ++sample)
    device_->add_normals(stream(tensor, sample), static_cast<float>(sample == 0 ? keep : 1),
                         static_cast<float>(-rate * projections_[sample]), tensor.value.size(),
                         tensor.value.data(), tensor.value.data());
}

bool ZeroOrderSgd::step(double learning_rate, double gradient_scale) {
  for (const TrainedSpan& tensor : source_.tensors()) {
    const double rate = learning_rate * tensor.rate;
    source_.descend(tensor, tensor.decays ? 1 - rate * weight_decay_ : 1, rate * gradient_scale);
  }
  return true;
}

}  // namespace rankfold
