#pragma once

#include <cstddef>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "core/device/row_kernels.h"
#include "experiments/models/blocks/host_linear.h"

namespace rankfold {

/// A feed-forward part: z = down(f(gate(x)) * up(x)), or z = down(f(up(x))) without a gate. It
/// holds weights only.
class FeedForward {
 public:
  /// `linears` are gate (or none), up, down.
  FeedForward(HiddenActivation activation, std::vector<HostLinear> linears)
      : activation_(activation), linears_(std::move(linears)) {}

  std::vector<HostLinear>& linears() { return linears_; }
  const std::vector<HostLinear>& linears() const { return linears_; }

  /// Whether backward needs x again: a site that reads it is adapted.
  bool reads_input() const;
  bool trains() const { return reads_input() || down().trains(); }

  /// What a forward leaves for its backward, in the arena.
  struct Kept {
    MatrixView<float> gate, up;   ///< columns of one matrix; without a gate `up` is f'
    MatrixView<float> activated;  ///< without a gate, where down is adapted
  };
  struct Traces {
    Trace<float> inner, down;
  };
  /// Memory for it, where dLoss/dx is wanted or something here trains.
  Kept take_kept(std::size_t rows, Arena& arena) const;
  /// z is overwritten; returns the bias that the caller still has to add to it, or null. `kept` has
  /// no memory, and traces are null, where no backward follows.
  const float* forward(MatrixView<const float> x, const Kept& kept, Traces* traces,
                       MatrixView<float> z, Arena& arena) const;
  /// Adds to the gradients of the adapter; dx is overwritten, skipped without memory. x as in the
  /// forward where reads_input(); `kept` is used up.
  void backward(MatrixView<const float> x, MatrixView<const float> dz, const Kept& kept,
                const Traces& traces, MatrixView<float> dx, Arena& arena) const;

 private:
  bool is_gated() const { return linears_.size() == 3; }
  const HostLinear& up() const { return linears_[linears_.size() - 2]; }
  const HostLinear& down() const { return linears_.back(); }
  std::size_t width() const { return down().site().in; }

  HiddenActivation activation_;
  std::vector<HostLinear> linears_;
};

}  // namespace rankfold
