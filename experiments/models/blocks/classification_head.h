#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "core/device/device.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/trained_storage.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"

namespace rankfold {

/// Names of a head's modules in the checkpoint of a model.
struct HeadModules {
  std::string model;  ///< for messages
  std::string pooler, classifier;
};

/// A head on the first row of each sequence: logits = classifier(dropout(tanh(pooler(x)))). The
/// classifier trains; the pooler is frozen unless a tensor train replaces it.
class ClassificationHead {
 public:
  /// Tensors that the checkpoint lacks are drawn anew; `notes` says so.
  ClassificationHead(HeadModules modules, std::size_t hidden, double dropout,
                     const HostSettings& settings, FrozenWeights& weights,
                     std::shared_ptr<const Device> device, std::vector<std::string>& notes);

  std::vector<TrainedTensor> trained_classifier();
  std::vector<TrainedTensor> trained_pooler();
  void zero_gradients();
  std::vector<Host::DrawnTensor> drawn() const;
  /// Numbers that the checkpoint does not have.
  std::size_t new_elements() const;

  /// What a forward leaves for its backward, in the arena but for what the tensor train keeps over
  /// steps; the caller's.
  struct Kept {
    MatrixView<float> pooled, classified;
    Trace<float> tensor_train;
  };
  /// Logits [sequences, labels] of x [sequences, hidden], in the arena.
  MatrixView<float> forward(MatrixView<const float> x, const EncoderPass& pass, Kept& kept,
                            Arena& arena) const;
  /// Adds to the gradients of what trains; dx is overwritten, skipped where its data is null. x as
  /// in the forward.
  void backward(MatrixView<const float> x, MatrixView<const float> d_logits,
                const EncoderPass& pass, const Kept& kept, MatrixView<float> dx, Arena& arena);

 private:
  void load_classifier(FrozenWeights& weights, std::vector<std::string>& notes);
  void load_pooler(FrozenWeights& weights, std::vector<std::string>& notes);
  void pool(MatrixView<const float> x, MatrixView<float> pooled, Trace<float>* trace) const;
  Dropout dropout(const EncoderPass& pass) const {
    return pass.dropout(dropout_, dropout_place_);
  }

  HeadModules modules_;
  std::size_t hidden_, labels_;
  double dropout_;
  std::string dropout_place_;
  std::uint64_t seed_;
  std::shared_ptr<const Device> device_;
  TrainedStorage weight_, bias_;
  FrozenLinear<float> pooler_;
  std::vector<float> new_pooler_;  ///< weight and bias where the checkpoint has none
  std::deque<Buffer<float>> placed_;
  std::unique_ptr<Adapter<float>> tensor_train_;
  std::size_t new_elements_ = 0;
};

}  // namespace rankfold
