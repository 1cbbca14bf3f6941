#pragma once

#include <cstddef>
#include <memory>

#include "core/adapter.h"
#include "core/backend.h"
#include "core/stack.h"

namespace rankfold {

/// One frozen linear layer of a host model, with the adapter of its site where there is one.
class HostLinear {
 public:
  /// `frozen` must have a bias.
  HostLinear(Site site, FrozenLinear<float> frozen, std::shared_ptr<const Backend> backend);

  const Site& site() const { return site_; }
  const FrozenLinear<float>& frozen() const { return frozen_; }
  bool adapted() const { return adapter_ != nullptr; }
  /// Lets site `index` of the adapter's stack act here; null detaches.
  void attach(Adapter<float>* adapter, std::size_t index);

  /// Y = X W^T + b, adapted. With `keep` for a backward.
  void forward(MatrixView<const float> x, MatrixView<float> y, bool keep);
  /// The same, but returns the bias where the caller still has to add it (a following loop does so
  /// at no cost), and null where it is in Y already.
  const float* forward_without_bias(MatrixView<const float> x, MatrixView<float> y, bool keep);
  /// dX += dY dY/dX where `accumulate`, else dX is overwritten; skipped where dx.data is null. Adds
  /// to the gradients of the adapter. X is that of the forward where the site is adapted, else
  /// unused.
  void backward(MatrixView<const float> x, MatrixView<const float> dy, MatrixView<float> dx,
                bool accumulate);

 private:
  Site site_;
  FrozenLinear<float> frozen_;
  std::shared_ptr<const Backend> backend_;
  Adapter<float>* adapter_ = nullptr;
  std::size_t index_ = 0;
  Trace<float> trace_;
};

}  // namespace rankfold
