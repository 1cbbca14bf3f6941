#include "core/adapter/frozen_product.h"

#include <type_traits>

#include "core/device/work.h"

namespace rankfold {

template <class T>
void frozen_forward(const Device& device, const FrozenLinear<T>& frozen, MatrixView<const T> x,
                    MatrixView<T> y, Bias bias) {
  const WorkTimer timer(device, Work::frozen_product);
  const T* added = bias == Bias::add ? frozen.bias : nullptr;
  if constexpr (std::is_same_v<T, float>)
    if (frozen.bfloat16) return device.bfloat16_forward(*frozen.bfloat16, x, added, y);
  if (added || !frozen.weight) device.fill_rows(added, y);
  if (frozen.weight)
    device.gemm(false, true, x.rows, y.columns, x.columns, T{1}, x.data, x.stride, frozen.weight,
                x.columns, added ? T{1} : T{0}, y.data, y.stride);
}

template <class T>
void frozen_backward(const Device& device, const FrozenLinear<T>& frozen, MatrixView<const T> dy,
                     MatrixView<T> dx, Into into) {
  const WorkTimer timer(device, Work::frozen_product);
  if constexpr (std::is_same_v<T, float>)
    if (frozen.bfloat16)
      return device.bfloat16_backward(*frozen.bfloat16, dy, dx, into == Into::add);
  if (frozen.weight)
    device.gemm(false, false, dy.rows, dx.columns, dy.columns, T{1}, dy.data, dy.stride,
                frozen.weight, dx.columns, into == Into::add ? T{1} : T{0}, dx.data, dx.stride);
  else if (into == Into::overwrite)
    device.fill_rows(static_cast<const T*>(nullptr), dx);
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
