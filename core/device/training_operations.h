#pragma once

#include <cstddef>

namespace rankfold {

class RandomStream;

/// The numbers of one step of AdamW or Adam, whatever the tensor (see Optimizer for the formula).
struct AdamStep {
  float decay = 1;  ///< what the value is multiplied with: 1 - lr decay
  float beta1 = 0, beta2 = 0;
  float step_size = 0;        ///< lr / (1 - beta1^t)
  float root_correction = 1;  ///< sqrt(1 - beta2^t)
  float epsilon = 0;
  float gradient_scale = 1;
  float penalty = 0;  ///< so many times the value is added to the gradient
};

/// What training does to tensors on a device, in float. Pointers are the device's memory.
class TrainingOperations {
 public:
  virtual ~TrainingOperations() = default;

  /// With g = gradient_scale gradient + penalty value: first += (1 - beta1) (g - first), second = beta2 second +
  /// (1 - beta2) g^2, value = decay value - step_size first / (sqrt(second) / root_correction +
  /// epsilon).
  virtual void adamw(const AdamStep& step, std::size_t n, const float* gradient, float* first,
                     float* second, float* value) const = 0;
  /// value -= rate (gradient_scale gradient + decay value).
  virtual void sgd(float rate, float decay, float gradient_scale, std::size_t n,
                   const float* gradient, float* value) const = 0;
  /// to = keep from + scale z, with z the standard normals of a stream (draw_normals); `to` may be
  /// `from`. Perturbs, and replays what was perturbed: nothing is stored of z.
  virtual void add_normals(const RandomStream& stream, float keep, float scale, std::size_t n,
                           const float* from, float* to) const = 0;
  /// sum + x[0]^2 + ... + x[n-1]^2, in double and in an order that depends on no number of threads.
  virtual double add_squares(std::size_t n, const float* x, double sum) const = 0;
};

}  // namespace rankfold
