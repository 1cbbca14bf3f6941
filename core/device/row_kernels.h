#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace rankfold {

// Loops over one row of a matrix, vectorised for the CPU that runs them. Outputs overwrite and may
// be the same row as an input of the same length unless said otherwise.

/// The function between the two dense layers of a transformer's feed-forward part, or of an
/// adapter.
enum class HiddenActivation {
  gelu,       ///< x Phi(x)
  gelu_tanh,  ///< x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
  relu,
  silu,  ///< x / (1 + e^-x)
  tanh,
};

/// By transformers' names: those below, and swish, which is silu. Throws Error naming `where` and
/// the key of a config.json.
inline constexpr std::string_view activation_names =
    "gelu, gelu_new, gelu_pytorch_tanh, relu or silu";
HiddenActivation parse_activation(std::string_view name, std::string_view where,
                                  std::string_view key = "hidden_act");

/// value = f(x + bias), bias may be null (0); where `derivative` is given it becomes f'(x + bias).
void activate_row(HiddenActivation activation, std::size_t n, const float* x, const float* bias,
                  float* value, float* derivative);

/// What the probabilities of a row can be formed from again:
/// softmax(scale x) = exp(scale x - offset) inverse_sum.
struct SoftmaxSums {
  float offset, inverse_sum;
};

/// x = keep softmax(scale x), for a `keep` of dropout factors or null (all 1).
SoftmaxSums softmax_row(std::size_t n, float scale, const float* keep, float* x);

/// With p = softmax(scale scores), whose sums these are: `scores` become keep p and d, which holds
/// dLoss/d(keep p) on entry, becomes dLoss/dscores.
void softmax_backward_row(std::size_t n, float scale, SoftmaxSums sums, const float* keep,
                          float* scores, float* d);

/// Dropout factors as one bit each and back: bit g of byte j of a group of 16 bytes stands for
/// column 16 g + j of a group of 128. `keep` holds kept_bytes(n) * 8 floats; what lies beyond n is
/// read and written.
constexpr std::size_t kept_bytes(std::size_t n) {
  return (n + 127) / 128 * 16;
}
void pack_kept(std::size_t n, const float* keep, unsigned char* bytes);
/// Factors 0 or `scale`.
void unpack_kept(std::size_t n, float scale, const unsigned char* bytes, float* keep);

/// With s = residual + keep (z + bias) and normalised = (s - mean(s)) / sqrt(var(s) + epsilon):
/// out = normalised * weight + shift. Returns 1 / sqrt(var(s) + epsilon). `residual` and
/// `normalised` may be null; `out` must not be an input, `normalised` may be z.
float add_and_normalise_row(std::size_t n, const float* z, const float* bias, const float* keep,
                            const float* residual, const float* weight, const float* shift,
                            float epsilon, float* normalised, float* out);

/// out = normalised * weight + shift, as add_and_normalise_row formed it.
void scale_and_shift_row(std::size_t n, const float* normalised, const float* weight,
                         const float* shift, float* out);

/// dLoss/ds from dLoss/dout; dz = keep ds. `ds` may be d_out.
void normalise_backward_row(std::size_t n, const float* d_out, const float* normalised,
                            float deviation_inverse, const float* weight, const float* keep,
                            float* ds, float* dz);

/// out = residual + keep (z + bias).
void add_residual_row(std::size_t n, const float* z, const float* bias, const float* keep,
                      const float* residual, float* out);

/// out = (x - mean(x)) / sqrt(var(x) + epsilon) * weight + shift; where not `centred`, the mean is
/// taken as 0. `shift` may be null (0).
void normalise_row(std::size_t n, bool centred, float epsilon, const float* x, const float* weight,
                   const float* shift, float* out);

/// From dLoss/dout of normalise_row dLoss/dx, added to dx where `add`. dx may be d_out.
void normalised_row_backward(std::size_t n, bool centred, float epsilon, const float* d_out,
                             const float* x, const float* weight, bool add, float* dx);

/// x[i], x[half + i] turned by the angle with that cosine and sine, back where `back`.
void turn_row(std::size_t half, const float* cosines, const float* sines, bool back, float* x);

/// out = f(gate) * up.
void gated_row(HiddenActivation activation, std::size_t n, const float* gate, const float* up,
               float* out);
/// From d = dLoss/dout: gate and up become their gradients.
void gated_backward_row(HiddenActivation activation, std::size_t n, const float* d, float* gate,
                        float* up);

/// -log softmax(x)[label]; x becomes scale (softmax(x) - 1 at the label) where `keep`.
double cross_entropy_row(std::size_t n, std::size_t label, float scale, bool keep, float* x);

/// out = a * b.
void multiply_row(std::size_t n, const float* a, const float* b, float* out);

/// out = a + b + c.
void add_rows(std::size_t n, const float* a, const float* b, const float* c, float* out);

/// out += a; out += a * b.
void add_row(std::size_t n, const float* a, float* out);
void add_product_row(std::size_t n, const float* a, const float* b, float* out);

/// out[j] += from[j * stride + index[j] - first], and its reverse from[...] += x[j].
void add_indexed_row(std::size_t n, const float* from, std::size_t stride,
                     const std::uint32_t* index, std::size_t first, float* out);
void add_to_indexed_row(std::size_t n, const float* x, const std::uint32_t* index,
                        std::size_t first, std::size_t stride, float* out);

/// Whether every number of a row is finite.
bool is_finite_row(std::size_t n, const float* x);

}  // namespace rankfold
