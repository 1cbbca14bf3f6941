#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "core/device/device.h"

namespace rankfold {

/// Why products in bfloat16 cannot run here ("this CPU has neither AVX512_BF16 nor AMX", "this
/// build has no oneDNN"); "" where they can.
std::string bfloat16_obstacle();

/// A frozen weight W[out, in] rounded to bfloat16 (to nearest, ties to even), for products with
/// oneDNN: one copy for each direction, in the order that its kernels read, 4 bytes a number
/// together. X and dY are rounded in the same way on their way in; sums are in float32.
///
/// Calls may overlap in time. They use OpenMP's threads as OpenBLAS does: those of
/// omp_set_num_threads, and one inside a parallel region. Same threads give the same bits. Each
/// allocates its working memory, at most 64 rows a thread.
class Bfloat16Weight {
 public:
  /// W is row-major, copied. Throws Error with bfloat16_obstacle(), or where W is empty.
  Bfloat16Weight(const float* weight, std::size_t out, std::size_t in);
  ~Bfloat16Weight();
  Bfloat16Weight(Bfloat16Weight&&) noexcept;
  Bfloat16Weight& operator=(Bfloat16Weight&&) noexcept;

  /// Y[tokens, out] = X[tokens, in] W^T + bias[out], without it where bias is null. Overwrites. X
  /// and Y share no memory. Throws Error naming both shapes where they do not fit.
  void forward(MatrixView<const float> x, const float* bias, MatrixView<float> y) const;
  /// dX[tokens, in] = dY[tokens, out] W, added to dX where `accumulate`. Throws as forward does.
  void backward(MatrixView<const float> dy, MatrixView<float> dx, bool accumulate) const;

 private:
  class Product;
  std::unique_ptr<Product> forward_, backward_;
};

}  // namespace rankfold
