#pragma once

#include <cstdint>

#include "experiments/models/host.h"

namespace rankfold {

/// Where the gradients of a training step come from.
class GradientSource {
 public:
  virtual ~GradientSource() = default;

  /// Overwrites the gradients of all that trains, of the host and of the adapter attached to it,
  /// with those of the mean loss over `batch`; returns the loss. What is drawn at random (dropout)
  /// is addressed by seed and step. Neither loss nor gradients need be finite.
  virtual double form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch,
                                std::uint64_t seed, std::uint64_t step) = 0;
};

/// One pass forward and backward: Host::train_pass.
class Backpropagation final : public GradientSource {
 public:
  double form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch, std::uint64_t seed,
                        std::uint64_t step) override;
};

}  // namespace rankfold
