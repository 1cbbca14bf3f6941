#include "core/device/matrix_product.h"

#include <omp.h>

#include <algorithm>

#include "core/device/kernel_loops.h"

namespace rankfold {
namespace {

using Multiply = void (*)(ProductLoops, const StridedProduct&);

Multiply find_kernels(VectorExtension vectors) {
  if (vectors > widest_vectors()) return nullptr;
  switch (vectors) {
    case VectorExtension::avx2:
      return multiply_avx2;
    case VectorExtension::avx512:
      return multiply_avx512;
    case VectorExtension::none:
      break;
  }
  return nullptr;
}

/// The kernels overwrite C or add to it.
void scale(const ProductArguments& p) {
  if (p.beta == 0 || p.beta == 1) return;
  for (std::size_t i = 0; i < p.m; ++i)
    for (std::size_t j = 0; j < p.n; ++j) p.c[i * p.stride_c + j] *= p.beta;
}

StridedProduct describe(const ProductArguments& p) {
  return {.m = p.m,
          .n = p.n,
          .k = p.alpha == 0 ? 0 : p.k,
          .alpha = p.alpha,
          .adds = p.beta != 0,
          .a = p.a,
          .a_row = p.transpose_a ? 1 : p.stride_a,
          .a_column = p.transpose_a ? p.stride_a : 1,
          .b = p.b,
          .b_row = p.transpose_b ? 1 : p.stride_b,
          .b_column = p.transpose_b ? p.stride_b : 1,
          .c = p.c,
          .c_row = p.stride_c,
          .c_column = 1};
}

/// C^T = op(B)^T op(A)^T.
StridedProduct transpose(const StridedProduct& p) {
  return {.m = p.n,
          .n = p.m,
          .k = p.k,
          .alpha = p.alpha,
          .adds = p.adds,
          .a = p.b,
          .a_row = p.b_column,
          .a_column = p.b_row,
          .b = p.a,
          .b_row = p.a_column,
          .b_column = p.a_row,
          .c = p.c,
          .c_row = p.c_column,
          .c_column = p.c_row};
}

/// From this depth on the sums over lanes at the end of a dot product cost little.
constexpr std::size_t deep = 192;

/// The loops for a product, which is transposed where that suits them; by its shape alone.
ProductLoops choose_loops(const ProductArguments& arguments, StridedProduct& product) {
  if (arguments.transpose_a) {
    // Vectors along rows where columns would leave them half empty.
    if (arguments.transpose_b || (product.n < 16 && product.m > product.n))
      product = transpose(product);
    return ProductLoops::outer;
  }
  if (arguments.transpose_b) {
    const bool short_dots = product.k < deep && product.m > 8 && product.n > 4;
    const bool worth_packing = product.m > 96 && product.n > 64;
    return short_dots || worth_packing ? ProductLoops::outer : ProductLoops::dot;
  }
  return product.n <= 4 || (product.n < 16 && product.k >= deep) ? ProductLoops::dot
                                                                 : ProductLoops::outer;
}

/// The part of `thread` of `threads`: rows where there are many, else columns, in multiples of 16.
StridedProduct take_part(StridedProduct product, std::size_t thread, std::size_t threads) {
  constexpr std::size_t grain = 16;
  const auto bound = [&](std::size_t size, std::size_t index) {
    const std::size_t grains = (size + grain - 1) / grain;
    return std::min(size, grains * index / threads * grain);
  };
  if (product.m >= product.n) {
    const std::size_t first = bound(product.m, thread);
    product.a += first * product.a_row;
    product.c += first * product.c_row;
    product.m = bound(product.m, thread + 1) - first;
  } else {
    const std::size_t first = bound(product.n, thread);
    product.b += first * product.b_column;
    product.c += first * product.c_column;
    product.n = bound(product.n, thread + 1) - first;
  }
  return product;
}

/// A product with few rows or columns takes as long as the other operand takes to be read.
bool is_worth_threads(const StridedProduct& product) {
  constexpr std::size_t fewest_operations = 1u << 20, fewest_read = 1u << 17, few = 4;
  const std::size_t depth = std::max<std::size_t>(product.k, 1);
  if (std::min(product.m, product.n) <= few)
    return std::max(product.m, product.n) * depth >= fewest_read;
  return product.m * product.n * depth >= fewest_operations;
}

}  // namespace

VectorExtension widest_vectors() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
    return VectorExtension::none;
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl")
             ? VectorExtension::avx512
             : VectorExtension::avx2;
}

bool multiply_matrices(const ProductArguments& arguments, VectorExtension vectors) {
  const Multiply multiply = find_kernels(vectors);
  if (!multiply) return false;
  if (arguments.m == 0 || arguments.n == 0) return true;
  scale(arguments);
  StridedProduct product = describe(arguments);
  const ProductLoops loops = choose_loops(arguments, product);
  if (!is_worth_threads(product) || omp_in_parallel() || omp_get_max_threads() == 1) {
    multiply(loops, product);
    return true;
  }
#pragma omp parallel
  {
    const StridedProduct part = take_part(product, static_cast<std::size_t>(omp_get_thread_num()),
                                          static_cast<std::size_t>(omp_get_num_threads()));
    if (part.m > 0 && part.n > 0) multiply(loops, part);
  }
  return true;
}

}  // namespace rankfold
