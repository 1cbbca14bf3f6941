#include "experiments/models/trained_weights.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace rankfold {
namespace {

/// Where `place` has its number in the gradient that belongs to these values; null where it has
/// none.
float* counterpart(const float* place, Buffer<float>& values, Buffer<float>& gradient) {
  const std::less<> before;
  const float* const first = values.data();
  if (before(place, first) || !before(place, first + values.size())) return nullptr;
  return gradient.data() + (place - first);
}

template <class T>
MatrixView<T> column(T* values, std::size_t size) {
  return {values, size, 1, 1};
}

}  // namespace

const float* TrainedWeights::find(std::string_view name) const {
  const auto found = std::ranges::find(
      tensors_, name, [](const Tensor& tensor) { return std::string_view(tensor.storage.name); });
  return found == tensors_.end() ? nullptr : found->storage.value.data();
}

const float* TrainedWeights::add(std::string_view name, std::vector<std::size_t> shape,
                                 const float* values, bool turned) {
  Tensor& tensor = tensors_.emplace_back(
      Tensor{TrainedStorage(std::string(name), std::move(shape), device_), turned});
  Buffer<float>& value = tensor.storage.value;
  device_->copy(values, value.size() * sizeof(float), value.data());
  return value.data();
}

const float* TrainedWeights::put_together(std::size_t size, std::vector<VectorPart> parts) {
  std::size_t longest = 0;
  for (const VectorPart& part : parts) longest = std::max(longest, part.rows.size());
  Vector& vector = vectors_.emplace_back(Vector{{device_, size},
                                                {device_, size},
                                                {device_, longest},
                                                std::move(parts)});
  refresh();
  return vector.value.data();
}

float* TrainedWeights::gradient(const float* value) {
  if (!value) return nullptr;
  for (Tensor& tensor : tensors_)
    if (float* const place = counterpart(value, tensor.storage.value, tensor.storage.gradient))
      return place;
  for (Vector& vector : vectors_)
    if (float* const place = counterpart(value, vector.value, vector.gradient)) return place;
  return nullptr;
}

void TrainedWeights::refresh() {
  for (Vector& vector : vectors_) {
    device_->fill(vector.value.size(), 0.0f, vector.value.data());
    for (const VectorPart& part : vector.parts)
      device_->add_to_rows(column(part.values, part.rows.size()), part.rows,
                           column(vector.value.data(), vector.value.size()));
  }
}

void TrainedWeights::collect() {
  for (Vector& vector : vectors_) {
    const MatrixView<float> whole = column(vector.gradient.data(), vector.gradient.size());
    for (const VectorPart& part : vector.parts) {
      const MatrixView<float> found = column(vector.scratch.data(), part.rows.size());
      device_->gather_rows(whole, part.rows, found);
      device_->add_matrix(found, column(gradient(part.values), part.rows.size()));
    }
    device_->fill(vector.gradient.size(), 0.0f, vector.gradient.data());
  }
}

std::vector<TrainedTensor> TrainedWeights::tensors() {
  std::vector<TrainedTensor> all;
  for (Tensor& tensor : tensors_) {
    TrainedTensor& added = all.emplace_back(tensor.storage.tensor());
    added.part = TrainedTensor::Part::network;
    added.turned = tensor.turned;
  }
  return all;
}

void TrainedWeights::zero_gradients() {
  for (Tensor& tensor : tensors_) {
    Buffer<float>& gradient = tensor.storage.gradient;
    device_->fill(gradient.size(), 0.0f, gradient.data());
  }
}

}  // namespace rankfold
