#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "core/adapter/adapter.h"
#include "core/device/bfloat16_weight.h"
#include "core/device/device.h"
#include "core/network/stack.h"

namespace rankfold {

/// One linear layer of a host model, frozen, with the adapter of its site where there is one, or
/// itself trained. What a
/// forward keeps for its backward is the caller's: one trace for each input that the layer meets in
/// a pass, reused over steps without new memory.
class HostLinear {
 public:
  /// `frozen` must have a bias. Products with its weight run in bfloat16 where asked for; throws
  /// Error where they cannot.
  HostLinear(Site site, FrozenLinear<float> frozen, std::shared_ptr<const Device> device,
             bool bfloat16 = false);
  /// The same of a weight that `read` makes when it is first asked for or computed with: of a fused
  /// weight and its parts a pass computes one.
  HostLinear(Site site, std::function<FrozenLinear<float>()> read,
             std::shared_ptr<const Device> device, bool bfloat16 = false);

  const Site& site() const { return site_; }
  const FrozenLinear<float>& frozen() const;
  bool adapted() const { return adapter_ != nullptr; }
  /// Where the gradients of weight and bias go, which then train themselves; null: nowhere.
  void train(float* weight_gradient, float* bias_gradient);
  /// Whether a backward has gradients of its own to form, for which it needs X.
  bool trains() const { return adapted() || weight_gradient_; }
  /// Lets site `index` of the adapter's stack act here; null detaches.
  void attach(Adapter<float>* adapter, std::size_t index);

  /// Y = X W^T + b, adapted; overwritten. `trace`, where given, keeps what a backward needs.
  void forward(MatrixView<const float> x, MatrixView<float> y, Trace<float>* trace) const;
  /// The same, but returns the bias where the caller still has to add it (a following loop does so
  /// at no cost), and null where it is in Y already.
  const float* forward_without_bias(MatrixView<const float> x, MatrixView<float> y,
                                    Trace<float>* trace) const;
  /// dX = dY dY/dX, added or overwritten as `into` says; skipped where dx.data is null. Adds
  /// to the gradients of the adapter, or to its own. X and the trace are those of the forward where
  /// something trains, else unused; dX may be X where the layer trains itself.
  void backward(MatrixView<const float> x, MatrixView<const float> dy, const Trace<float>& trace,
                MatrixView<float> dx, Into into) const;

 private:
  friend void forward_together(std::span<const HostLinear* const>, MatrixView<const float>,
                               std::span<const MatrixView<float>>, Trace<float>*);
  friend void backward_together(std::span<const HostLinear* const>, MatrixView<const float>,
                                std::span<const MatrixView<const float>>, const Trace<float>&,
                                MatrixView<float>, Into);
  /// Whether the adapter left the bias out, which is added behind it (Site::bias_apart).
  bool adds_bias_behind() const {
    return adapter_ && site_.bias_apart && adapter_->place(index_) == Place::after;
  }
  void add_gradients(MatrixView<const float> x, MatrixView<const float> dy) const;

  struct Weight {
    std::function<FrozenLinear<float>()> read;  ///< empty once it is read
    FrozenLinear<float> frozen;
    std::unique_ptr<const Bfloat16Weight> rounded;
  };

  Site site_;
  bool bfloat16_;
  std::unique_ptr<Weight> weight_;
  std::shared_ptr<const Device> device_;
  Adapter<float>* adapter_ = nullptr;
  std::size_t index_ = 0;
  float *weight_gradient_ = nullptr, *bias_gradient_ = nullptr;
};

/// Linear layers that read one input (q, k and v), each as HostLinear::forward; the adapter may
/// share work among them. `ys` may be column ranges of one matrix; one trace serves all.
void forward_together(std::span<const HostLinear* const> linears, MatrixView<const float> x,
                      std::span<const MatrixView<float>> ys, Trace<float>* trace);
/// Their HostLinear::backward; a dY without memory is skipped. dX collects from all of them, as
/// `into` says. The same linears, X and trace as in the forward.
void backward_together(std::span<const HostLinear* const> linears, MatrixView<const float> x,
                       std::span<const MatrixView<const float>> dys, const Trace<float>& trace,
                       MatrixView<float> dx, Into into);

}  // namespace rankfold
