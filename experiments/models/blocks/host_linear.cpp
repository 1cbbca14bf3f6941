#include "experiments/models/blocks/host_linear.h"

#include <array>
#include <utility>

#include "core/adapter/frozen_product.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

/// Every row of y += row, which may be null.
void add_row(const Device& device, const float* row, MatrixView<float> y) {
  if (!row) return;
  const WorkTimer timer(device, Work::elementwise);
  StridedLoop loop;
  loop.add({y.rows, 0, 0, y.stride});
  loop.add({y.columns, 1, 0, 1});
  device.accumulate(loop, 1.0f, row, nullptr, y.data);
}

}  // namespace

HostLinear::HostLinear(Site site, FrozenLinear<float> frozen, std::shared_ptr<const Device> device,
                       bool bfloat16)
    : HostLinear(
          std::move(site), [frozen] { return frozen; }, std::move(device), bfloat16) {
  this->frozen();
}

HostLinear::HostLinear(Site site, std::function<FrozenLinear<float>()> read,
                       std::shared_ptr<const Device> device, bool bfloat16)
    : site_(std::move(site)),
      bfloat16_(bfloat16),
      weight_(std::make_unique<Weight>(std::move(read))),
      device_(std::move(device)) {}

const FrozenLinear<float>& HostLinear::frozen() const {
  if (!weight_->read) return weight_->frozen;
  weight_->frozen = weight_->read();
  if (bfloat16_) {
    weight_->rounded = device_->prepare_bfloat16(weight_->frozen.weight, site_.out, site_.in);
    weight_->frozen.bfloat16 = weight_->rounded.get();
  }
  weight_->read = nullptr;
  return weight_->frozen;
}

void HostLinear::attach(Adapter<float>* adapter, std::size_t index) {
  adapter_ = adapter;
  index_ = index;
}

void HostLinear::train(float* weight_gradient, float* bias_gradient) {
  weight_gradient_ = weight_gradient;
  bias_gradient_ = bias_gradient;
}

void HostLinear::add_gradients(MatrixView<const float> x, MatrixView<const float> dy) const {
  if (!weight_gradient_ || !dy.data) return;
  {
    const WorkTimer timer(*device_, Work::frozen_product);
    device_->gemm(true, false, dy.columns, x.columns, dy.rows, 1.0f, dy.data, dy.stride, x.data,
                  x.stride, 1.0f, weight_gradient_, x.columns);
  }
  if (!bias_gradient_) return;
  const WorkTimer timer(*device_, Work::elementwise);
  device_->add_column_sums(dy, bias_gradient_);
}

void HostLinear::forward(MatrixView<const float> x, MatrixView<float> y,
                         Trace<float>* trace) const {
  const HostLinear* const self = this;
  forward_together({&self, 1}, x, {&y, 1}, trace);
}

const float* HostLinear::forward_without_bias(MatrixView<const float> x, MatrixView<float> y,
                                              Trace<float>* trace) const {
  if (!adapter_) {
    frozen_forward(*device_, frozen(), x, y, Bias::omit);
    return frozen().bias;
  }
  const bool beside = adapter_->place(index_) == Place::beside;
  const SiteMatrix<float> output{index_, y};
  adapter_->forward({&output, 1}, x, trace, beside ? Bias::omit : Bias::add);
  return beside || adds_bias_behind() ? frozen().bias : nullptr;
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
      frozen_forward(*linear.device_, linear.frozen(), x, ys[i], Bias::add);
    }
  }
  if (adapter) adapter->forward({outputs.data(), count}, x, trace);
  for (std::size_t i = 0; i < linears.size(); ++i)
    if (const HostLinear& linear = *linears[i]; linear.adds_bias_behind())
      add_row(*linear.device_, linear.frozen().bias, ys[i]);
}

void backward_together(std::span<const HostLinear* const> linears, MatrixView<const float> x,
                       std::span<const MatrixView<const float>> dys, const Trace<float>& trace,
                       MatrixView<float> dx, Into into) {
  std::array<SiteMatrix<const float>, most_sites_a_call> d_outputs;
  std::size_t count = 0;
  Adapter<float>* adapter = nullptr;
  for (std::size_t i = 0; i < linears.size(); ++i) linears[i]->add_gradients(x, dys[i]);
  for (std::size_t i = 0; i < linears.size(); ++i) {
    const HostLinear& linear = *linears[i];
    if (linear.adapter_) {
      adapter = linear.adapter_;
      d_outputs.at(count++) = {linear.index_, dys[i]};
    } else if (dx.data && dys[i].data) {
      frozen_backward(*linear.device_, linear.frozen(), dys[i], dx, into);
      into = Into::add;
    }
  }
  if (adapter) adapter->backward({d_outputs.data(), count}, x, trace, dx, into);
}

}  // namespace rankfold
