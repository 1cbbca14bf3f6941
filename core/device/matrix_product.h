#pragma once

#include <cstddef>

namespace rankfold {

/// C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C with the arguments of Device::gemm. beta 0
/// overwrites: C is not read. alpha 0 reads neither A nor B.
struct ProductArguments {
  bool transpose_a = false, transpose_b = false;
  std::size_t m = 0, n = 0, k = 0;
  float alpha = 1;
  const float* a = nullptr;
  std::size_t stride_a = 0;
  const float* b = nullptr;
  std::size_t stride_b = 0;
  float beta = 0;
  float* c = nullptr;
  std::size_t stride_c = 0;
};

/// Vector extensions that the kernels are built for.
enum class VectorExtension { none, avx2, avx512 };
/// The widest one that this CPU has.
VectorExtension widest_vectors();

/// Computes the product without allocating: operands are read where they lie, at most a block of
/// one is packed onto the stack. Outside parallel regions large products are split over the threads
/// of OpenMP; inside them the calling thread computes alone. Numbers depend on shape and vectors
/// only, neither on strides nor on threads. benchmarks/product_benchmark.cpp measures it beside
/// OpenBLAS and rooflines. False where the CPU lacks the vectors: nothing was computed.
bool multiply_matrices(const ProductArguments& product, VectorExtension vectors = widest_vectors());

}  // namespace rankfold
