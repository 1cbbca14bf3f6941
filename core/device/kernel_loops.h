#pragma once

#include <cstddef>

// What core/device/matrix_product.cpp hands to the loops of core/device/kernel_dot.h and
// core/device/kernel_outer.h.

namespace rankfold {

/// C (+)= alpha op(A) op(B) with op(A)(i,p) = a[i a_row + p a_column], likewise op(B)(p,j) and
/// C(i,j).
struct StridedProduct {
  std::size_t m, n, k;
  float alpha;
  bool adds;  ///< to C, which is overwritten otherwise
  const float* a;
  std::size_t a_row, a_column;
  const float* b;
  std::size_t b_row, b_column;
  float* c;
  std::size_t c_row, c_column;
};

/// `dot` runs vectors along the contraction (op(A) contiguous along it), `outer` along the columns
/// of C.
enum class ProductLoops { dot, outer };

void multiply_avx2(ProductLoops loops, const StridedProduct& product);
void multiply_avx512(ProductLoops loops, const StridedProduct& product);

}  // namespace rankfold
