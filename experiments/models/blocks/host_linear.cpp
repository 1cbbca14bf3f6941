#include "experiments/models/blocks/host_linear.h"

#include <array>
#include <utility>

#include "core/adapter/frozen_product.h"

namespace rankfold {

HostLinear::HostLinear(Site site, FrozenLinear<float> frozen, std::shared_ptr<const Device> device,
                       bool bfloat16)
    : site_(std::move(site)), frozen_(frozen), device_(std::move(device)) {
  if (!bfloat16) return;
  rounded_ = std::make_unique<Bfloat16Weight>(frozen_.weight, site_.out, site_.in);
  frozen_.bfloat16 = rounded_.get();
}

void HostLinear::attach(Adapter<float>* adapter, std::size_t index) {
  adapter_ = adapter;
  index_ = index;
  trace_ = {};
}

void HostLinear::forward(MatrixView<const float> x, MatrixView<float> y, bool keep) {
  HostLinear* const self = this;
  forward_together({&self, 1}, x, {&y, 1}, keep);
}

const float* HostLinear::forward_without_bias(MatrixView<const float> x, MatrixView<float> y,
                                              bool keep) {
  if (!adapter_) {
    frozen_forward(*device_, frozen_, x, y, Bias::omit);
    return frozen_.bias;
  }
  const bool beside = adapter_->place(index_) == Place::beside;
  const SiteMatrix<float> output{index_, y};
  adapter_->forward({&output, 1}, x, keep ? &trace_ : nullptr, beside ? Bias::omit : Bias::add);
  return beside ? frozen_.bias : nullptr;
}

void HostLinear::backward(MatrixView<const float> x, MatrixView<const float> dy,
                          MatrixView<float> dx, Into into) {
  HostLinear* const self = this;
  backward_together({&self, 1}, x, {&dy, 1}, dx, into);
}

void forward_together(std::span<HostLinear* const> linears, MatrixView<const float> x,
                      std::span<const MatrixView<float>> ys, bool keep) {
  std::array<SiteMatrix<float>, most_sites_a_call> outputs;
  std::size_t count = 0;
  HostLinear* first = nullptr;  // its trace serves all
  for (std::size_t i = 0; i < linears.size(); ++i) {
    HostLinear& linear = *linears[i];
    if (linear.adapter_) {
      if (!first) first = &linear;
      outputs.at(count++) = {linear.index_, ys[i]};
    } else {
      frozen_forward(*linear.device_, linear.frozen_, x, ys[i], Bias::add);
    }
  }
  if (first) first->adapter_->forward({outputs.data(), count}, x, keep ? &first->trace_ : nullptr);
}

void backward_together(std::span<HostLinear* const> linears, MatrixView<const float> x,
                       std::span<const MatrixView<const float>> dys, MatrixView<float> dx,
                       Into into) {
  std::array<SiteMatrix<const float>, most_sites_a_call> d_outputs;
  std::size_t count = 0;
  HostLinear* first = nullptr;
  for (std::size_t i = 0; i < linears.size(); ++i) {
    HostLinear& linear = *linears[i];
    if (linear.adapter_) {
      if (!first) first = &linear;
      d_outputs.at(count++) = {linear.index_, dys[i]};
    } else if (dx.data && dys[i].data) {
      frozen_backward(*linear.device_, linear.frozen_, dys[i], dx, into);
      into = Into::add;
    }
  }
  if (first) first->adapter_->backward({d_outputs.data(), count}, x, first->trace_, dx, into);
}

}  // namespace rankfold
