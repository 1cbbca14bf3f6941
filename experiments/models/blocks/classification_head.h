#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/row_kernels.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/trained_storage.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"

namespace rankfold {

/// What tells the heads of families apart.
struct HeadDescription {
  std::string model = {};               ///< for messages
  std::string dense = {}, output = {};  ///< modules in the checkpoint
  /// f behind the dense layer; tanh where it is none of these.
  std::optional<HiddenActivation> activation = {};
  bool trains_dense = false;
  std::optional<Site> site = {};          ///< of the dense layer, where an adapter may attach to it
  double input_dropout = 0, dropout = 0;  ///< before the dense layer, and before the output layer
};

/// A head on the first row of each sequence: logits = output(dropout(f(dense(dropout(x))))). The
/// output layer trains; the dense layer is frozen, and may have an adapter, unless it trains with
/// it (or with everything), or a tensor train replaces it.
class ClassificationHead {
 public:
  /// Tensors that the checkpoint lacks are drawn anew; `notes` says so of those that stay frozen.
  ClassificationHead(HeadDescription description, std::size_t hidden, const HostSettings& settings,
                     FrozenWeights& weights, std::shared_ptr<const Device> device,
                     std::vector<std::string>& notes);

  /// The frozen dense layer, as a place of an adapter; null where there is none.
  HostLinear* adaptable_dense() { return linear_ ? &*linear_ : nullptr; }
  std::vector<TrainedTensor> trained_output();
  std::vector<TrainedTensor> trained_dense();
  void zero_gradients();
  std::vector<Host::DrawnTensor> drawn() const;
  /// Numbers that the checkpoint does not have.
  std::size_t new_elements() const;

  /// What a forward leaves for its backward, in the arena but for what the tensor train or the
  /// adapter keeps over steps; the caller's.
  struct Kept {
    MatrixView<const float> input;
    MatrixView<float> dense, pooled, classified;  ///< dense: f' where f is not tanh
    Trace<float> trace;
  };
  /// Logits [sequences, labels] of x [sequences, hidden], in the arena. x stays until the backward.
  MatrixView<float> forward(MatrixView<const float> x, const EncoderPass& pass, Kept& kept,
                            Arena& arena) const;
  /// Adds to the gradients of what trains; dx is overwritten, skipped where its data is null.
  void backward(MatrixView<const float> d_logits, const EncoderPass& pass, const Kept& kept,
                MatrixView<float> dx, Arena& arena);

 private:
  void load_output(FrozenWeights& weights, const HostSettings& settings,
                   std::vector<std::string>& notes);
  void load_trained_dense(FrozenWeights& weights);
  void load_frozen_dense(FrozenWeights& weights, std::vector<std::string>& notes);
  /// Overwrites the storages of a weight and a bias with the checkpoint's tensors, their rows in
  /// that order where one is given.
  void read(FrozenWeights& weights, std::span<TrainedStorage> layer,
            std::span<const std::size_t> rows = {}) const;
  /// The same with new numbers.
  void draw(std::span<TrainedStorage> layer);
  bool is_adapted() const { return linear_ && linear_->adapted(); }
  void backward_dense(MatrixView<const float> d_dense, const Kept& kept, MatrixView<float> dx);
  Dropout input_dropout(const EncoderPass& pass) const {
    return pass.dropout(description_.input_dropout, input_place_);
  }
  Dropout dropout(const EncoderPass& pass) const {
    return pass.dropout(description_.dropout, output_place_);
  }

  HeadDescription description_;
  std::size_t hidden_, labels_;
  std::string input_place_, output_place_;  ///< of the dropout masks
  std::uint64_t seed_;
  std::shared_ptr<const Device> device_;
  std::vector<TrainedStorage> output_;         ///< weight and bias
  std::vector<TrainedStorage> trained_dense_;  ///< the same where it trains, else empty
  FrozenLinear<float> dense_;                  ///< the dense layer's numbers, trained or not
  std::optional<HostLinear> linear_;           ///< the same where it is a site
  std::vector<float>
      new_dense_;  ///< weight and bias where it is frozen and the checkpoint has none
  std::deque<Buffer<float>> placed_;
  std::unique_ptr<Adapter<float>> tensor_train_;
  std::size_t new_elements_ = 0;
};

}  // namespace rankfold
