#include <omp.h>

#include <algorithm>

#include "core/adapter/frozen_product.h"
#include "core/adapter/network_adapter.h"
#include "core/device/work.h"

// Gradients of sites with norms.

namespace rankfold {
namespace {

constexpr std::size_t columns_a_task = 64;

/// sums[j] = sum_i a[i,j] b[i,j], and scaled[i,j] = scales[j] a[i,j]; in one order for any number
/// of threads.
template <class T>
void sum_and_scale(MatrixView<const T> a, const T* b, const T* scales, T* sums, T* scaled) {
  const std::size_t columns = a.columns;
#pragma omp parallel for schedule(static)
  for (std::size_t first = 0; first < columns; first += columns_a_task) {
    const std::size_t last = std::min(first + columns_a_task, columns);
    std::fill(sums + first, sums + last, T{0});
    for (std::size_t i = 0; i < a.rows; ++i) {
      const T *values = a.row(i), *others = b + i * columns;
      T* out = scaled + i * columns;
#pragma omp simd
      for (std::size_t j = first; j < last; ++j) {
        sums[j] += values[j] * others[j];
        out[j] = scales[j] * values[j];
      }
    }
  }
}

/// sum over all of a[i,j] b[i,j], by way of those of the rows.
template <class T>
double multiply(MatrixView<const T> a, const T* b, T* rows) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < a.rows; ++i) {
    const T *values = a.row(i), *others = b + i * a.columns;
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t j = 0; j < a.columns; ++j) sum += values[j] * others[j];
    rows[i] = sum;
  }
  double sum = 0;
  for (std::size_t i = 0; i < a.rows; ++i) sum += static_cast<double>(rows[i]);
  return sum;
}

template <class T>
void add_rows(const T* from, MatrixView<T> to, Into into) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < to.rows; ++i) {
    const T* values = from + i * to.columns;
    T* row = to.row(i);
    for (std::size_t j = 0; j < to.columns; ++j)
      row[j] = into == Into::add ? row[j] + values[j] : values[j];
  }
}

}  // namespace

/// From dLoss/dW' to dLoss/ddW, in place; adds to the gradients of the magnitudes.
template <class T>
void NetworkAdapter<T>::reverse_norms(std::size_t index, T* gradient) {
  const Site& site = this->stack_.sites[index];
  const CompiledSite& compiled = sites_[index];
  T* update = reserve(update_, site.out * site.in);
  std::fill_n(update, site.out * site.in, T{0});
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
  if (row_sums_.size() < tokens) row_sums_.resize(tokens);
  const Output apart{output.site, {nullptr, 0, 0, out}};
  const SitesProgram& entry = program<T>({&apart, 1}, columns ? in : x.stride, in);
  reserve(memory_,
          std::max(entry.program.memory_size(static_cast<std::size_t>(omp_get_max_threads())),
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
  sum_and_scale(dy, output.data(), scales.rows, sums, scaled);
  if (scales.columns) {
    sum_and_scale(x, input_gradient, scales.columns, sums + dy.columns, scaled_x);
    add_rows(input_gradient, dx, into);
  }
  if (normalised.needs_whole()) {
    const Output alone{d_output.site, {reserve(matrix_, x.rows * dy.columns), x.rows, dy.columns}};
    std::fill_n(alone.matrix.data, x.rows * dy.columns, T{0});
    run_forward(program<T>({&alone, 1}, x.stride, x.columns), x, {&alone, 1});
    products.whole = multiply(dy, alone.matrix.data, row_sums_.data());
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
    std::fill_n(rest, site.out * site.in, T{0});
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
