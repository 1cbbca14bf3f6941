#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/trained_storage.h"
#include "experiments/models/host.h"

namespace rankfold {

/// Some of the numbers of a vector that is put together of several tensors: number i of `values`
/// is number rows[i] of the whole.
struct VectorPart {
  const float* values = nullptr;
  std::vector<std::size_t> rows;
};

/// The weights of a network that all train (`--targets everything`): memory of their own in the
/// place of the checkpoint's, and as much for their gradients. A gradient is found by where its
/// value lies, so that two readers of one tensor (tied embeddings) add to one gradient.
class TrainedWeights {
 public:
  explicit TrainedWeights(std::shared_ptr<const Device> device) : device_(std::move(device)) {}

  /// The values of a tensor that is here already, or null.
  const float* find(std::string_view name) const;
  /// A new tensor with these numbers of the device. `turned`: they are those of the checkpoint's
  /// `shape` [columns, rows] as [rows, columns].
  const float* add(std::string_view name, std::vector<std::size_t> shape, const float* values,
                   bool turned = false);
  /// A vector of `size` numbers put together of tensors that are here, 0 where no part has any.
  const float* put_together(std::size_t size, std::vector<VectorPart> parts);
  /// Where the gradient of this number goes; null where it is none of these.
  float* gradient(const float* value);

  /// Before a pass: vectors that are put together follow their parts.
  void refresh();
  /// After a backward: their gradients go to their parts.
  void collect();
  std::vector<TrainedTensor> tensors();
  void zero_gradients();

 private:
  struct Tensor {
    TrainedStorage storage;
    bool turned = false;
  };
  struct Vector {
    Buffer<float> value, gradient, scratch;
    std::vector<VectorPart> parts;
  };

  std::shared_ptr<const Device> device_;
  std::deque<Tensor> tensors_;
  std::deque<Vector> vectors_;
};

}  // namespace rankfold
