#include "experiments/models/blocks/layer_norm.h"

#include "core/device/work.h"

namespace rankfold {

NormTrace take_norm_trace(Arena& arena, std::size_t rows, std::size_t columns) {
  return {arena.take_matrix(rows, columns), arena.take(rows)};
}

void add_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                       const Dropout& dropout, MatrixView<const float> residual,
                       const NormTrace& trace, MatrixView<float> out, const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.add_and_normalise(norm.weights(), z, bias, dropout, residual, trace, out);
}

void form_again(const LayerNorm& norm, const NormTrace& trace, MatrixView<float> out,
                const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.scale_and_shift(norm.weights(), trace.normalised, out);
}

void add_norm_gradients(const LayerNorm& norm, MatrixView<const float> d_out,
                        MatrixView<const float> normalised, const Device& device) {
  if (norm.weight_gradient)
    device.add_norm_gradients(d_out, normalised, norm.weight_gradient, norm.shift_gradient);
}

void add_and_normalise_backward(const LayerNorm& norm, const Dropout& dropout,
                                MatrixView<const float> d_out, const NormTrace& trace,
                                MatrixView<float> d_residual, MatrixView<float> dz,
                                const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  add_norm_gradients(norm, d_out, trace.normalised, device);
  device.add_and_normalise_backward(norm.weights(), dropout, d_out, trace, d_residual, dz);
}

void add_residual_and_normalise(const LayerNorm& norm, MatrixView<const float> z, const float* bias,
                                const Dropout& dropout, MatrixView<const float> residual,
                                MatrixView<float> sum, MatrixView<float> out,
                                const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.add_residual_and_normalise(norm.weights(), z, bias, dropout, residual, sum, out);
}

void add_residual(MatrixView<const float> z, const float* bias, const Dropout& dropout,
                  MatrixView<const float> residual, MatrixView<float> sum, const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.add_residual_and_normalise({}, z, bias, dropout, residual, sum, {});
}

void normalise(const LayerNorm& norm, MatrixView<const float> x, MatrixView<float> out,
               const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  device.normalise(norm.weights(), x, out);
}

void normalise_backward(const LayerNorm& norm, MatrixView<const float> d_out,
                        MatrixView<const float> x, bool add, MatrixView<float> dx,
                        const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
  if (norm.weight_gradient)
    device.add_normalise_gradients(norm.weights(), d_out, x, norm.weight_gradient,
                                   norm.shift_gradient);
  if (dx.data) device.normalise_backward(norm.weights(), d_out, x, add, dx);
}

}  // namespace rankfold
