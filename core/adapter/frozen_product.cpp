#include "core/adapter/frozen_product.h"

#include <algorithm>
#include <type_traits>

#include "core/device/bfloat16_weight.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

template <class T>
void fill_rows(MatrixView<T> y, const T* row) {
  const auto fill = [&](std::size_t i) {
    if (row)
      std::copy_n(row, y.columns, y.row(i));
    else
      std::fill_n(y.row(i), y.columns, T{0});
  };
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < y.rows; ++i) fill(i);
}

}  // namespace

template <class T>
void frozen_forward(const Device& device, const FrozenLinear<T>& frozen, MatrixView<const T> x,
                    MatrixView<T> y, Bias bias) {
  const WorkTimer timer(device, Work::frozen_product);
  const T* added = bias == Bias::add ? frozen.bias : nullptr;
  if constexpr (std::is_same_v<T, float>)
    if (frozen.bfloat16) return frozen.bfloat16->forward(x, added, y);
  if (added || !frozen.weight) fill_rows(y, added);
  if (frozen.weight)
    device.gemm(false, true, x.rows, y.columns, x.columns, T{1}, x.data, x.stride, frozen.weight,
                x.columns, added ? T{1} : T{0}, y.data, y.stride);
}

template <class T>
void frozen_backward(const Device& device, const FrozenLinear<T>& frozen, MatrixView<const T> dy,
                     MatrixView<T> dx, Into into) {
  const WorkTimer timer(device, Work::frozen_product);
  if constexpr (std::is_same_v<T, float>)
    if (frozen.bfloat16) return frozen.bfloat16->backward(dy, dx, into == Into::add);
  if (frozen.weight)
    device.gemm(false, false, dy.rows, dx.columns, dy.columns, T{1}, dy.data, dy.stride,
                frozen.weight, dx.columns, into == Into::add ? T{1} : T{0}, dx.data, dx.stride);
  else if (into == Into::overwrite)
    fill_rows(dx, static_cast<const T*>(nullptr));
}

template void frozen_forward(const Device&, const FrozenLinear<float>&, MatrixView<const float>,
                             MatrixView<float>, Bias);
template void frozen_forward(const Device&, const FrozenLinear<double>&, MatrixView<const double>,
                             MatrixView<double>, Bias);
template void frozen_backward(const Device&, const FrozenLinear<float>&, MatrixView<const float>,
                              MatrixView<float>, Into);
template void frozen_backward(const Device&, const FrozenLinear<double>&, MatrixView<const double>,
                              MatrixView<double>, Into);

}  // namespace rankfold
