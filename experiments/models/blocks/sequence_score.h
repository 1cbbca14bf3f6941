#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "experiments/models/blocks/trained_storage.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"

namespace rankfold {

/// The head of a decoder that classifies: logits = x W^T of one row a sequence. W trains.
class SequenceScore {
 public:
  /// W is the tensor "<module>.weight" [labels, hidden], or drawn anew where the checkpoint has
  /// none of that shape; `notes` says so of another shape.
  SequenceScore(const std::string& module, std::size_t hidden, const std::string& model,
                const HostSettings& settings, FrozenWeights& weights,
                std::shared_ptr<const Device> device, std::vector<std::string>& notes);

  TrainedTensor trained() { return weight_.tensor(); }
  void zero_gradients();
  /// Numbers that the checkpoint does not have.
  std::size_t new_elements() const { return new_elements_; }

  /// Logits [sequences, labels] of x [sequences, hidden], in the arena.
  MatrixView<float> forward(MatrixView<const float> x, Arena& arena) const;
  /// Adds to the gradient of W; dx is overwritten, skipped without memory.
  void backward(MatrixView<const float> x, MatrixView<const float> d_logits, MatrixView<float> dx);

 private:
  std::size_t labels_, hidden_;
  std::shared_ptr<const Device> device_;
  TrainedStorage weight_;
  std::size_t new_elements_ = 0;
};

}  // namespace rankfold
