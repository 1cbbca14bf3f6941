#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/adapter/adapter.h"
#include "core/device/bfloat16_weight.h"
#include "core/device/device.h"
#include "core/network/stack.h"

namespace rankfold {

/// One frozen linear layer of a host model, with the adapter of its site where there is one.
class HostLinear {
 public:
  /// `frozen` must have a bias. Products with its weight run in bfloat16 where asked for; throws
  /// Error where they cannot.
  HostLinear(Site site, FrozenLinear<float> frozen, std::shared_ptr<const Device> device,
             bool bfloat16 = false);

  const Site& site() const { return site_; }
  const FrozenLinear<float>& frozen() const { return frozen_; }
  bool adapted() const { return adapter_ != nullptr; }
  /// Lets site `index` of the adapter's stack act here; null detaches.
  void attach(Adapter<float>* adapter, std::size_t index);

  /// Y = X W^T + b, adapted; overwritten. With `keep` for a backward.
  void forward(MatrixView<const float> x, MatrixView<float> y, bool keep);
  /// The same, but returns the bias where the caller still has to add it (a following loop does so
  /// at no cost), and null where it is in Y already.
  const float* forward_without_bias(MatrixView<const float> x, MatrixView<float> y, bool keep);
  /// dX = dY dY/dX, added or overwritten as `into` says; skipped where dx.data is null. Adds
  /// to the gradients of the adapter. X is that of the forward where the site is adapted, else
  /// unused.
  void backward(MatrixView<const float> x, MatrixView<const float> dy, MatrixView<float> dx,
                Into into);

 private:
  friend void forward_together(std::span<HostLinear* const>, MatrixView<const float>,
                               std::span<const MatrixView<float>>, bool);
  friend void backward_together(std::span<HostLinear* const>, MatrixView<const float>,
                                std::span<const MatrixView<const float>>, MatrixView<float>, Into);

  Site site_;
  FrozenLinear<float> frozen_;
  std::unique_ptr<const Bfloat16Weight> rounded_;
  std::shared_ptr<const Device> device_;
  Adapter<float>* adapter_ = nullptr;
  std::size_t index_ = 0;
  Trace<float> trace_;
};

/// Linear layers that read one input (q, k and v), each as HostLinear::forward; the adapter may
/// share work among them. `ys` may be column ranges of one matrix.
void forward_together(std::span<HostLinear* const> linears, MatrixView<const float> x,
                      std::span<const MatrixView<float>> ys, bool keep);
/// Their HostLinear::backward; a dY without memory is skipped. dX collects from all of them, as
/// `into` says. The same linears and X as in the forward.
void backward_together(std::span<HostLinear* const> linears, MatrixView<const float> x,
                       std::span<const MatrixView<const float>> dys, MatrixView<float> dx,
                       Into into);

}  // namespace rankfold
