#include "experiments/models/host_parts.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/device/work.h"
#include "experiments/models/replaced_tensors.h"
#include "experiments/models/trained_weights.h"

namespace rankfold {

TrainedStorage& TrainedNorms::add(const LayerNorm& norm, const char* tensor, const float* values) {
  TrainedStorage& storage =
      storages_.emplace_back(norm.name + tensor, std::vector<std::size_t>{norm.width}, device_);
  device_->copy(values, norm.width * sizeof(float), storage.value.data());
  return storage;
}

void TrainedNorms::train(LayerNorm& norm) {
  TrainedStorage& weight = add(norm, ".weight", norm.weight);
  norm.weight = weight.value.data();
  norm.weight_gradient = weight.gradient.data();
  if (!norm.shift) return;
  TrainedStorage& shift = add(norm, ".bias", norm.shift);
  norm.shift = shift.value.data();
  norm.shift_gradient = shift.gradient.data();
}

void TrainedNorms::train_shift(LayerNorm& norm) {
  if (!norm.shift) return;
  TrainedStorage& shift = add(norm, ".bias", norm.shift);
  norm.shift = shift.value.data();
  norm.shift_gradient = shift.gradient.data();
  norm.weight_gradient = unread_.emplace_back(device_, norm.width).data();
}

std::vector<TrainedTensor> TrainedNorms::tensors() {
  std::vector<TrainedTensor> tensors;
  for (TrainedStorage& storage : storages_) {
    tensors.push_back(storage.tensor());
    tensors.back().part = TrainedTensor::Part::norm;
  }
  return tensors;
}

void TrainedNorms::zero_gradients() {
  for (TrainedStorage& storage : storages_)
    device_->fill(storage.gradient.size(), 0.0f, storage.gradient.data());
  for (Buffer<float>& gradient : unread_) device_->fill(gradient.size(), 0.0f, gradient.data());
}

std::vector<Host::DrawnTensor> list_replaced(const ReplacedTensors* replaced) {
  std::vector<Host::DrawnTensor> tensors;
  if (!replaced) return tensors;
  for (const auto& [name, tensor] : replaced->tensors())
    if (!tensor.read_as.empty())
      tensors.push_back({tensor.read_as, tensor.entry.shape, tensor.values});
  return tensors;
}

FrozenLinear<float> find_frozen(std::span<HostLinear* const> linears, const Site& site,
                                const SiteCatalogue& catalogue) {
  for (const HostLinear* linear : linears) {
    if (linear->site().name != site.name) continue;
    if (linear->site().out != site.out || linear->site().in != site.in)
      throw Error("{}: site {} is [{}, {}], expected [{}, {}]", catalogue.model, site.name,
                  site.out, site.in, linear->site().out, linear->site().in);
    return linear->frozen();
  }
  throw Error("{}: no site {}; sites are named {} and so on", catalogue.model, site.name,
              catalogue.sites.front().name);
}

void attach_linears(std::span<HostLinear* const> linears, Adapter<float>* adapter,
                    const SiteCatalogue& catalogue) {
  const std::vector<Site> sites = adapter ? adapter->stack().sites : std::vector<Site>();
  std::vector<FrozenLinear<float>> frozen;
  for (const Site& site : sites) {
    frozen.push_back(find_frozen(linears, site, catalogue));
    // The host adds it behind the adapter.
    if (site.bias_apart && adapter->place(frozen.size() - 1) == Place::after)
      frozen.back().bias = nullptr;
  }
  if (adapter) adapter->set_frozen(std::move(frozen));
  for (HostLinear* linear : linears) {
    const auto found = std::ranges::find(sites, linear->site().name, &Site::name);
    linear->attach(found == sites.end() ? nullptr : adapter,
                   static_cast<std::size_t>(found - sites.begin()));
  }
}

void train_linears(std::span<HostLinear* const> linears, TrainedWeights& weights) {
  for (HostLinear* linear : linears) {
    // A part of a fused weight trains with the whole.
    if (!linear->site().part_of.empty()) continue;
    const FrozenLinear<float>& values = linear->frozen();
    linear->train(weights.gradient(values.weight), weights.gradient(values.bias));
  }
}

void check_features(const Batch& batch, std::size_t frozen_layers, std::size_t hidden,
                    const std::string& model) {
  const MatrixView<const float>& rows = batch.features;
  if (!rows.data) return;
  if (frozen_layers == 0)
    throw Error(
        "{}: the batch has features, expected none: no layer is frozen below all that trains",
        model);
  if (rows.rows != batch.tokens() || rows.columns != hidden)
    throw Error("{}: the batch has features [{}, {}], expected [{}, {}]", model, rows.rows,
                rows.columns, batch.tokens(), hidden);
}

void check_room_for_features(const Batch& batch, MatrixView<const float> rows, std::size_t hidden,
                             const std::string& model) {
  if (rows.rows != batch.tokens() || rows.columns != hidden)
    throw Error("{}: the room for features is [{}, {}], expected [{}, {}]", model, rows.rows,
                rows.columns, batch.tokens(), hidden);
}

void upload_features(MatrixView<const float> features, MatrixView<float> rows,
                     const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  if (device.reaches_host()) return device.copy_matrix(features, rows);
  for (std::size_t i = 0; i < rows.rows; ++i)
    device.upload(features.row(i), rows.columns * sizeof(float), rows.row(i));
}

void download_rows(MatrixView<const float> rows, MatrixView<float> features, const Device& device) {
  for (std::size_t i = 0; i < rows.rows; ++i)
    device.download(rows.row(i), rows.columns * sizeof(float), features.row(i));
}

}  // namespace rankfold
