#pragma once

#include <cstddef>
#include <cstdint>

#include "experiments/models/host.h"

namespace rankfold {

/// Where the gradients of a training step come from.
class GradientSource {
 public:
  virtual ~GradientSource() = default;

  /// Overwrites the gradients of all that trains, of the host and of the adapter attached to it,
  /// with those of the mean loss over `batch`; returns the loss. What is drawn at random (dropout)
  /// is addressed by seed and pass. Neither loss nor gradients need be finite.
  virtual double form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch,
                                std::uint64_t seed, std::uint64_t pass) = 0;
  /// The same, added to the gradients; only where can_accumulate().
  virtual double add_gradients(Host&, Adapter<float>&, const Batch&, std::uint64_t, std::uint64_t) {
    return 0;
  }
  virtual bool can_accumulate() const { return true; }
  /// Whether there are gradients after form_gradients; else the rule does without them.
  virtual bool forms_gradients() const { return true; }
  /// Passes through the network for one batch.
  virtual std::size_t forwards_a_batch() const { return 1; }
};

/// One pass forward and backward: Host::train_pass.
class Backpropagation final : public GradientSource {
 public:
  double form_gradients(Host& host, Adapter<float>& adapter, const Batch& batch, std::uint64_t seed,
                        std::uint64_t pass) override;
  double add_gradients(Host& host, Adapter<float>& adapter, const Batch& batch, std::uint64_t seed,
                       std::uint64_t pass) override;
};

}  // namespace rankfold
