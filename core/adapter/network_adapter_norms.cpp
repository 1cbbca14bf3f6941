#include <algorithm>

#include "core/adapter/frozen_product.h"
#include "core/adapter/network_adapter.h"
#include "core/device/work.h"

// Gradients of sites with norms.

namespace rankfold {
/// From dLoss/dW' to dLoss/ddW, in place; adds to the gradients of the magnitudes.
template <class T>
void NetworkAdapter<T>::reverse_norms(std::size_t index, T* gradient) {
  const Site& site = this->stack_.sites[index];
  const CompiledSite& compiled = sites_[index];
  T* update = reserve(update_, site.out * site.in);
  this->device_->fill(site.out * site.in, T{0}, update);
  form_update(index, update);
  compiled.normalised->reverse(frozen_weight(index), magnitudes(compiled, false),
                               magnitudes(compiled, true), update, gradient);
}

/// Takes what either way to the gradients of a site with norms needs, so that steps that take the
/// other way later take no memory.
template <class T>
void NetworkAdapter<T>::reserve_normalised(const Output& output, MatrixView<const T> x) const {
  const std::size_t tokens = x.rows, out = output.matrix.columns, in = x.columns;
  const bool columns = sites_[output.site].normalised->has_columns();
  reserve(sums_, out + in);
  reserve(scaled_, tokens * (out + (columns ? in : 0)));
  reserve(update_, out * in);
  reserve(matrix_, std::max({tokens * out, tokens * in, out * in}));
  reserve(row_sums_, tokens);
  const Output apart{output.site, {nullptr, 0, 0, out}};
  const SitesProgram& entry = program<T>({&apart, 1}, columns ? in : x.stride, in);
  reserve(memory_, std::max(entry.program.memory_size(this->device_->lanes()),
                            sites_[output.site].reconstructions.front().memory_size()));
}

/// The gradients of a site's factors and magnitudes by sums over tokens, without dY^T X; adds dY W'
/// to dX, where it has memory. `layer` holds W', `output` X W'^T.
template <class T>
void NetworkAdapter<T>::add_normalised_gradients(const Gradient& d_output, MatrixView<const T> x,
                                                 const FrozenLinear<T>& layer,
                                                 const Buffer<T>& output, MatrixView<T> dx,
                                                 Into into) {
  const CompiledSite& compiled = sites_[d_output.site];
  NormalisedWeight<T>& normalised = *compiled.normalised;
  const MatrixView<const T> dy = d_output.matrix;
  const auto scales = normalised.scales(magnitudes(compiled, false));
  T* sums = reserve(sums_, dy.columns + x.columns);
  T* scaled = reserve(scaled_, x.rows * (dy.columns + (scales.columns ? x.columns : 0)));
  T* scaled_x = scaled + x.rows * dy.columns;
  typename NormalisedWeight<T>::Products products{sums, nullptr, 0};
  const T* input_gradient = nullptr;
  if (scales.columns) {
    const MatrixView<T> own(reserve(matrix_, x.rows * x.columns), x.rows, x.columns);
    frozen_backward(*this->device_, layer, dy, own, Into::overwrite);
    input_gradient = own.data;
    products.columns = sums + dy.columns;
  } else if (dx.data) {
    frozen_backward(*this->device_, layer, dy, dx, into);
  }
  const WorkTimer timer(*this->device_, Work::adapter);
  const Device& device = *this->device_;
  device.sum_and_scale_columns(dy, output.data(), scales.rows, sums, scaled);
  if (scales.columns) {
    device.sum_and_scale_columns(x, input_gradient, scales.columns, sums + dy.columns, scaled_x);
    const MatrixView<const T> own(input_gradient, x.rows, x.columns);
    if (into == Into::add)
      device.add_matrix(own, dx);
    else
      device.copy_matrix(own, dx);
  }
  if (normalised.needs_whole()) {
    const Output alone{d_output.site, {reserve(matrix_, x.rows * dy.columns), x.rows, dy.columns}};
    device.fill(x.rows * dy.columns, T{0}, alone.matrix.data);
    run_forward(program<T>({&alone, 1}, x.stride, x.columns), x, {&alone, 1});
    products.whole = sum_by_rows(device, dy, alone.matrix.data, reserve(row_sums_, x.rows));
  }
  const Gradient apart{d_output.site, {scaled, x.rows, dy.columns}};
  const MatrixView<const T> input =
      scales.columns ? MatrixView<const T>(scaled_x, x.rows, x.columns) : x;
  run_backward(program<const T>({&apart, 1}, input.stride, input.columns), input, {&apart, 1},
               MatrixView<T>(), true);
  T* rest = nullptr;
  const Site& site = this->stack_.sites[d_output.site];
  if (normalised.has_rest()) {
    rest = reserve(update_, site.out * site.in);
    this->device_->fill(site.out * site.in, T{0}, rest);
    form_update(d_output.site, rest);
  }
  normalised.reverse_sums(frozen_weight(d_output.site), magnitudes(compiled, false),
                          magnitudes(compiled, true), products, rest);
  if (rest)
    compiled.reconstructions.front().reverse(
        *this->device_, this->parameters_, rest,
        reserve(memory_, compiled.reconstructions.front().memory_size()));
}

template class NetworkAdapter<float>;
template class NetworkAdapter<double>;

}  // namespace rankfold
