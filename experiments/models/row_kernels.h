#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rankfold {

// Loops over one row of a matrix, vectorised for the CPU that runs them. Outputs overwrite and may
// be the same row as an input of the same length unless said otherwise.

/// The function between the two dense layers of a transformer's feed-forward part.
enum class HiddenActivation {
  gelu,       ///< x Phi(x)
  gelu_tanh,  ///< x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
  relu,
};

/// By transformers' names: gelu, gelu_new, gelu_pytorch_tanh, relu. Throws Error naming `where`.
HiddenActivation parse_activation(std::string_view name, std::string_view where);

/// value = f(x + bias); where `derivative` is given it becomes f'(x + bias).
void activate_row(HiddenActivation activation, std::size_t n, const float* x, const float* bias,
                  float* value, float* derivative);

/// x = softmax(scale x).
void softmax_row(std::size_t n, float scale, float* x);

/// Marks the probabilities whose factor `keep` is 0 by their sign, so that probability and mask
/// are one number; dropped = p * keep.
void drop_probabilities(std::size_t n, const float* keep, float* probabilities, float* dropped);

/// dropped = p * scale where the mark of drop_probabilities is absent, else 0.
void restore_dropped(std::size_t n, float scale, const float* marked, float* dropped);

/// Through dropout and softmax: d holds dLoss/d(dropped) on entry and dLoss/d(unscaled scores) on
/// return; softmax_scale is that of softmax_row, keep_scale that of the dropout.
void softmax_backward_row(std::size_t n, float softmax_scale, float keep_scale, const float* marked,
                          float* d);

/// With s = residual + keep (z + bias) and normalised = (s - mean(s)) / sqrt(var(s) + epsilon):
/// out = normalised * weight + shift. Returns 1 / sqrt(var(s) + epsilon). `residual` and
/// `normalised` may be null; `out` must not be an input, `normalised` may be z.
float add_and_normalise_row(std::size_t n, const float* z, const float* bias, const float* keep,
                            const float* residual, const float* weight, const float* shift,
                            float epsilon, float* normalised, float* out);

/// dLoss/ds from dLoss/dout; dz = keep ds. `ds` may be d_out.
void normalise_backward_row(std::size_t n, const float* d_out, const float* normalised,
                            float deviation_inverse, const float* weight, const float* keep,
                            float* ds, float* dz);

/// out = a * b.
void multiply_row(std::size_t n, const float* a, const float* b, float* out);

/// out += a; out += a * b.
void add_row(std::size_t n, const float* a, float* out);
void add_product_row(std::size_t n, const float* a, const float* b, float* out);

/// Whether every number of a row is finite.
bool is_finite_row(std::size_t n, const float* x);

}  // namespace rankfold
