#pragma once

#include <omp.h>

#include <cstddef>

#include "core/device/row_kernels.h"
#include "core/device/views.h"

// What the CPU computes for the operations of the same names in core/device/device_operations.h.
// Only the files of the CPU's device include it.

namespace rankfold::cpu {

/// function(i) for every row, by all threads outside parallel regions.
template <class Function>
void for_rows(std::size_t rows, const Function& function) {
  if (rows < 2 || omp_in_parallel()) {
    for (std::size_t i = 0; i < rows; ++i) function(i);
    return;
  }
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < rows; ++i) function(i);
}

void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          float alpha, const float* a, std::size_t stride_a, const float* b, std::size_t stride_b,
          float beta, float* c, std::size_t stride_c);
void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
          double alpha, const double* a, std::size_t stride_a, const double* b,
          std::size_t stride_b, double beta, double* c, std::size_t stride_c);
template <class T>
void accumulate(const StridedLoop& loop, T alpha, const T* a, const T* b, T* target);
template <class T>
void clear(const StridedLoop& loop, T* target);

template <class T>
void fill(std::size_t n, T value, T* out);
template <class T>
void copy_matrix(MatrixView<const T> from, MatrixView<T> to);
template <class T>
void add_matrix(MatrixView<const T> from, MatrixView<T> to);
template <class T>
void fill_rows(const T* row, MatrixView<T> out);
template <class T>
void keep_and_add_row(const T* row, MatrixView<T> y, T* kept);
template <class T>
void relu(std::size_t n, T* x);
template <class T>
void relu_backward(std::size_t n, const T* x, T* d);
template <class T>
void apply(HiddenActivation function, std::size_t n, T* x, T* slopes);

template <class T>
void sum_rows(MatrixView<const T> a, const T* b, const T* w, T* sums);
template <class T>
void sum_columns(MatrixView<const T> a, const T* b, const T* w, T* sums);
template <class T>
void sum_and_scale_columns(MatrixView<const T> a, const T* b, const T* scales, T* sums, T* scaled);
template <class T>
void combine(std::size_t n, T alpha, const T* x, T beta, T* y);
template <class T>
void scale_rows(const T* scales, MatrixView<T> x);
template <class T>
void scale_columns(const T* scales, MatrixView<T> x);
template <class T>
void scale_rows_by_columns(const T* outer, const T* inner, const T* columns, const T* added,
                           MatrixView<T> x);
template <class T>
void project_rows(const T* scales, const T* along, const T* v, MatrixView<T> x);
template <class T>
void project_columns(const T* scales, const T* along, const T* w, const T* v, MatrixView<T> x);

}  // namespace rankfold::cpu
