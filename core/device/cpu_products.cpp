#include <omp.h>

#include <algorithm>
#include <complex>
#include <limits>

#include "core/base/error.h"
#include "core/device/cpu_bodies.h"
#include "core/device/matrix_product.h"

// xtensor-blas brings its BLAS bindings; of products no other file sees them. Its configuration
// comes first: without it the bindings silently use their own loops instead of OpenBLAS.
#include <xtensor-blas/xblas_config.hpp>

#include <xflens/cxxblas/cxxblas.cxx>
#ifndef HAVE_CBLAS
#error "the bindings would multiply with loops of their own"
#endif

// Products of the CPU's device.

namespace rankfold::cpu {
namespace {

template <class T>
void run_innermost(const LoopDimension& d, T alpha, const T* a, const T* b, T* target) {
  if (d.target == 0) {
    T sum = 0;
    if (b)
      for (std::size_t i = 0; i < d.size; ++i) sum += a[i * d.a] * b[i * d.b];
    else
      for (std::size_t i = 0; i < d.size; ++i) sum += a[i * d.a];
    *target += alpha * sum;
  } else if (!b && d.a == 1 && d.target == 1) {
    for (std::size_t i = 0; i < d.size; ++i) target[i] += alpha * a[i];
  } else if (!b) {
    for (std::size_t i = 0; i < d.size; ++i) target[i * d.target] += alpha * a[i * d.a];
  } else if (d.a == 1 && d.b == 1 && d.target == 1) {
    for (std::size_t i = 0; i < d.size; ++i) target[i] += alpha * a[i] * b[i];
  } else {
    for (std::size_t i = 0; i < d.size; ++i)
      target[i * d.target] += alpha * a[i * d.a] * b[i * d.b];
  }
}

template <class T>
void run_nest(std::span<const LoopDimension> nest, T alpha, const T* a, const T* b, T* target) {
  const LoopDimension& outer = nest.front();
  if (nest.size() == 1) return run_innermost(outer, alpha, a, b, target);
  for (std::size_t i = 0; i < outer.size; ++i)
    run_nest(nest.subspan(1), alpha, a + i * outer.a, b ? b + i * outer.b : nullptr,
             target + i * outer.target);
}

template <class T>
void accumulate_nest(std::span<const LoopDimension> nest, T alpha, const T* a, const T* b,
                     T* target) {
  if (nest.empty()) {
    *target += alpha * *a * (b ? *b : T{1});
    return;
  }
  std::size_t total = 1;
  for (const LoopDimension& dimension : nest) total *= dimension.size;
  if (total == 0) return;
  const LoopDimension& outer = nest.front();
  // Rows of the target are disjoint, so threads do not change the order of any sum.
  if (nest.size() > 1 && outer.target != 0 && total > (1u << 15) && !omp_in_parallel()) {
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < outer.size; ++i)
      run_nest(nest.subspan(1), alpha, a + i * outer.a, b ? b + i * outer.b : nullptr,
               target + i * outer.target);
    return;
  }
  run_nest(nest, alpha, a, b, target);
}

template <class T>
void clear_nest(std::span<const LoopDimension> nest, T* target) {
  if (nest.empty()) {
    *target = T{0};
  } else if (nest.size() == 1 && nest.front().target == 1) {
    std::fill_n(target, nest.front().size, T{0});
  } else {
    for (std::size_t i = 0; i < nest.front().size; ++i)
      clear_nest(nest.subspan(1), target + i * nest.front().target);
  }
}

int to_blas(std::size_t value) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw Error("matrix product: dimension {} is beyond what BLAS can index ({})", value,
                std::numeric_limits<int>::max());
  return static_cast<int>(value);
}

/// By OpenBLAS.
template <class T>
void multiply(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
              T alpha, const T* a, std::size_t stride_a, const T* b, std::size_t stride_b, T beta,
              T* c, std::size_t stride_c) {
  if (m == 0 || n == 0) return;
  const auto transpose = [](bool yes) { return yes ? cxxblas::Trans : cxxblas::NoTrans; };
  cxxblas::gemm(cxxblas::RowMajor, transpose(transpose_a), transpose(transpose_b), to_blas(m),
                to_blas(n), to_blas(k), alpha, a, to_blas(std::max<std::size_t>(stride_a, 1)), b,
                to_blas(std::max<std::size_t>(stride_b, 1)), beta, c,
                to_blas(std::max<std::size_t>(stride_c, 1)));
}

/// Whether our own kernels compute a product.
bool takes([[maybe_unused]] std::size_t m, [[maybe_unused]] std::size_t n,
           [[maybe_unused]] std::size_t k) {
#ifdef RANKFOLD_LARGE_PRODUCTS_BY_OPENBLAS
  return std::min({m, n, k}) <= 64;
#else
  return true;
#endif
}

}  // namespace

void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
          const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta, float* c,
          std::size_t ldc) {
  if (takes(m, n, k) && multiply_matrices({ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc}))
    return;
  multiply(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, double alpha,
          const double* a, std::size_t lda, const double* b, std::size_t ldb, double beta,
          double* c, std::size_t ldc) {
  multiply(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

template <class T>
void accumulate(const StridedLoop& loop, T alpha, const T* a, const T* b, T* target) {
  accumulate_nest(loop.nest(), alpha, a, b, target);
}

template <class T>
void clear(const StridedLoop& loop, T* target) {
  clear_nest(loop.nest(), target);
}

template void accumulate(const StridedLoop&, float, const float*, const float*, float*);
template void accumulate(const StridedLoop&, double, const double*, const double*, double*);
template void clear(const StridedLoop&, float*);
template void clear(const StridedLoop&, double*);

}  // namespace rankfold::cpu
