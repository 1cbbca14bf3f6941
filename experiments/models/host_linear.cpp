#include "experiments/models/host_linear.h"

#include <algorithm>
#include <utility>

namespace rankfold {
namespace {

void fill_rows(MatrixView<float> y, const float* row) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < y.rows; ++i) std::copy_n(row, y.columns, y.row(i));
}

void clear(MatrixView<float> y) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < y.rows; ++i) std::fill_n(y.row(i), y.columns, 0.0f);
}

}  // namespace

HostLinear::HostLinear(Site site, FrozenLinear<float> frozen,
                       std::shared_ptr<const Backend> backend)
    : site_(std::move(site)), frozen_(frozen), backend_(std::move(backend)) {}

void HostLinear::attach(Adapter<float>* adapter, std::size_t index) {
  adapter_ = adapter;
  index_ = index;
  trace_ = {};
}

void HostLinear::forward(MatrixView<const float> x, MatrixView<float> y, bool keep) {
  fill_rows(y, frozen_.bias);
  backend_->gemm(false, true, x.rows, site_.out, site_.in, 1.0f, x.data, x.stride, frozen_.weight,
                 site_.in, 1.0f, y.data, y.stride);
  if (adapter_) adapter_->forward(index_, x, y, keep ? &trace_ : nullptr);
}

const float* HostLinear::forward_without_bias(MatrixView<const float> x, MatrixView<float> y,
                                              bool keep) {
  if (adapter_) {
    forward(x, y, keep);
    return nullptr;
  }
  backend_->gemm(false, true, x.rows, site_.out, site_.in, 1.0f, x.data, x.stride, frozen_.weight,
                 site_.in, 0.0f, y.data, y.stride);
  return frozen_.bias;
}

void HostLinear::backward(MatrixView<const float> x, MatrixView<const float> dy,
                          MatrixView<float> dx, bool accumulate) {
  if (adapter_) {
    if (dx.data && !accumulate) clear(dx);
    adapter_->backward(index_, x, dy, trace_, dx);
  } else if (dx.data) {
    backend_->gemm(false, false, dy.rows, site_.in, site_.out, 1.0f, dy.data, dy.stride,
                   frozen_.weight, site_.in, accumulate ? 1.0f : 0.0f, dx.data, dx.stride);
  }
}

void forward_together(std::span<HostLinear* const> linears, MatrixView<const float> x,
                      std::span<const MatrixView<float>> ys, bool keep) {
  for (std::size_t i = 0; i < linears.size(); ++i) linears[i]->forward(x, ys[i], keep);
}

void backward_together(std::span<HostLinear* const> linears, MatrixView<const float> x,
                       std::span<const MatrixView<float>> dys, MatrixView<float> dx,
                       bool accumulate) {
  for (std::size_t i = 0; i < linears.size(); ++i) {
    if (!dys[i].data) continue;
    linears[i]->backward(x, dys[i], dx, accumulate);
    accumulate = true;
  }
}

}  // namespace rankfold
