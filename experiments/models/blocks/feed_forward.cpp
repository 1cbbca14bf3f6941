#include "experiments/models/blocks/feed_forward.h"

#include <array>

#include "core/device/work.h"

namespace rankfold {

bool FeedForward::reads_input() const {
  return up().trains() || (is_gated() && linears_.front().trains());
}

FeedForward::Kept FeedForward::take_kept(std::size_t rows, Arena& arena) const {
  Kept kept;
  if (is_gated()) {
    const MatrixView<float> both = arena.take_matrix(rows, 2 * width());
    kept.gate = {both.data, rows, width(), both.stride};
    kept.up = {both.data + width(), rows, width(), both.stride};
  } else {
    kept.up = arena.take_matrix(rows, width());
    if (down().trains()) kept.activated = arena.take_matrix(rows, width());
  }
  return kept;
}

const float* FeedForward::forward(MatrixView<const float> x, const Kept& kept, Traces* traces,
                                  MatrixView<float> z, Arena& arena) const {
  const ArenaScope temporaries(arena);
  const Device& device = arena.device();
  const Kept inner = kept.up.data ? kept : take_kept(x.rows, arena);
  const MatrixView<float> activated =
      inner.activated.data ? inner.activated : arena.take_matrix(x.rows, width());
  if (is_gated()) {
    const std::array<const HostLinear*, 2> linears = {&linears_[0], &linears_[1]};
    const std::array<MatrixView<float>, 2> ys = {inner.gate, inner.up};
    forward_together(linears, x, ys, traces ? &traces->inner : nullptr);
    const WorkTimer timer(device, Work::elementwise);
    device.gated(activation_, inner.gate, inner.up, activated);
  } else {
    const float* bias = up().forward_without_bias(x, inner.up, traces ? &traces->inner : nullptr);
    const WorkTimer timer(device, Work::elementwise);
    device.activate(activation_, inner.up, bias, activated, kept.up.data != nullptr);
  }
  return down().forward_without_bias(activated, z, traces ? &traces->down : nullptr);
}

void FeedForward::backward(MatrixView<const float> x, MatrixView<const float> dz, const Kept& kept,
                           const Traces& traces, MatrixView<float> dx, Arena& arena) const {
  const ArenaScope temporaries(arena);
  const Device& device = arena.device();
  const bool through = dx.data || reads_input();
  MatrixView<float> d_activated(nullptr, dz.rows, width()), activated = kept.activated;
  if (!activated.data) activated = {nullptr, dz.rows, width()};
  if (is_gated() && down().trains()) {
    activated = arena.take_matrix(dz.rows, width());
    const WorkTimer timer(device, Work::elementwise);
    device.gated(activation_, kept.gate, kept.up, activated);
  }
  if (through) d_activated = arena.take_matrix(dz.rows, width());
  down().backward(activated, dz, traces.down, d_activated, Into::overwrite);
  if (!through) return;
  if (!is_gated()) {
    {
      const WorkTimer timer(device, Work::elementwise);
      device.multiply_matrix(kept.up, d_activated);
    }
    return up().backward(x, d_activated, traces.inner, dx, Into::overwrite);
  }
  {
    const WorkTimer timer(device, Work::elementwise);
    device.gated_backward(activation_, d_activated, kept.gate, kept.up);
  }
  const std::array<const HostLinear*, 2> linears = {&linears_[0], &linears_[1]};
  const std::array<MatrixView<const float>, 2> dys = {kept.gate, kept.up};
  backward_together(linears, x, dys, traces.inner, dx, Into::overwrite);
}

}  // namespace rankfold
