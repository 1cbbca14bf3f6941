#include "experiments/models/blocks/host_linear.h"

#include <array>
#include <utility>

#include "core/adapter/frozen_product.h"

namespace rankfold {

HostLinear::HostLinear(Site site, FrozenLinear<float> frozen, std::shared_ptr<const Device> device,
                       bool bfloat16)
    : site_(std::move(site)), frozen_(frozen), device_(std::move(device)) {
  if (!bfloat16) return;
  rounded_ = device_->prepare_bfloat16(frozen_.weight, site_.out, site_.in);
  frozen_.bfloat16 = rounded_.get();
}

void HostLinear::attach(Adapter<float>* adapter, std::size_t index) {
  adapter_ = adapter;
  index_ = index;
}

void HostLinear::forward(MatrixView<const float> x, MatrixView<float> y,
                         Trace<float>* trace) const {
  const HostLinear* const self = this;
  forward_together({&self, 1}, x, {&y, 1}, trace);
}

const float* HostLinear::forward_without_bias(MatrixView<const float> x, MatrixView<float> y,
                                              Trace<float>* trace) const {
  if (!adapter_) {
    frozen_forward(*device_, frozen_, x, y, Bias::omit);
    return frozen_.bias;
  }
  const bool beside = adapter_->place(index_) == Place::beside;
  const SiteMatrix<float> output{index_, y};
  adapter_->forward({&output, 1}, x, trace, beside ? Bias::omit : Bias::add);
  return beside ? frozen_.bias : nullptr;
}

void HostLinear::backward(MatrixView<const float> x, MatrixView<const float> dy,
                          const Trace<float>& trace, MatrixView<float> dx, Into into) const {
  const HostLinear* const self = this;
  backward_together({&self, 1}, x, {&dy, 1}, trace, dx, into);
}

void forward_together(std::span<const HostLinear* const> linears, MatrixView<const float> x,
                      std::span<const MatrixView<float>> ys, Trace<float>* trace) {
  std::array<SiteMatrix<float>, most_sites_a_call> outputs;
  std::size_t count = 0;
  Adapter<float>* adapter = nullptr;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const HostLinear& linear = *linears[i];
    if (linear.adapter_) {
      adapter = linear.adapter_;
      outputs.at(count++) = {linear.index_, ys[i]};
    } else {
      frozen_forward(*linear.device_, linear.frozen_, x, ys[i], Bias::add);
    }
  }
  if (adapter) adapter->forward({outputs.data(), count}, x, trace);
}

void backward_together(std::span<const HostLinear* const> linears, MatrixView<const float> x,
                       std::span<const MatrixView<const float>> dys, const Trace<float>& trace,
                       MatrixView<float> dx, Into into) {
  std::array<SiteMatrix<const float>, most_sites_a_call> d_outputs;
  std::size_t count = 0;
  Adapter<float>* adapter = nullptr;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const HostLinear& linear = *linears[i];
    if (linear.adapter_) {
      adapter = linear.adapter_;
      d_outputs.at(count++) = {linear.index_, dys[i]};
    } else if (dx.data && dys[i].data) {
      frozen_backward(*linear.device_, linear.frozen_, dys[i], dx, into);
      into = Into::add;
    }
  }
  if (adapter) adapter->backward({d_outputs.data(), count}, x, trace, dx, into);
}

}  // namespace rankfold
