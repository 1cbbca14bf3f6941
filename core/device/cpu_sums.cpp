#include <algorithm>

#include "core/device/cpu_bodies.h"

// Sums and scalings of rows and columns of the CPU's device.

namespace rankfold::cpu {
namespace {

/// function(first, last) for ranges of columns, by all threads.
template <class Function>
void for_columns(std::size_t columns, const Function& function) {
  constexpr std::size_t columns_a_task = 64;
  for_rows((columns + columns_a_task - 1) / columns_a_task, [&](std::size_t task) {
    const std::size_t first = task * columns_a_task;
    function(first, std::min(first + columns_a_task, columns));
  });
}

template <class T>
T sum_of_products(std::size_t n, const T* a, const T* b) {
  T sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t j = 0; j < n; ++j) sum += a[j] * b[j];
  return sum;
}

// The order of the sums is part of results that are published: floats one after the other, doubles
// by the lanes of a vector.
float weighted_sum(std::size_t n, const float* w, const float* a, const float* b) {
  float sum = 0;
  for (std::size_t j = 0; j < n; ++j) sum += w[j] * a[j] * b[j];
  return sum;
}
double weighted_sum(std::size_t n, const double* w, const double* a, const double* b) {
  double sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t j = 0; j < n; ++j) sum += w[j] * a[j] * b[j];
  return sum;
}

}  // namespace

template <class T>
void sum_rows(MatrixView<const T> a, const T* b, const T* w, T* sums) {
  const std::size_t columns = a.columns;
  for_rows(a.rows, [&](std::size_t i) {
    const T *values = a.row(i), *others = b + i * columns;
    sums[i] =
        w ? weighted_sum(columns, w, values, others) : sum_of_products(columns, values, others);
  });
}

template <class T>
void sum_columns(MatrixView<const T> a, const T* b, const T* w, T* sums) {
  const std::size_t columns = a.columns;
  for_columns(columns, [&](std::size_t first, std::size_t last) {
    std::fill(sums + first, sums + last, T{0});
    for (std::size_t i = 0; i < a.rows; ++i) {
      const T *values = a.row(i), *others = b + i * columns;
      if (w) {
#pragma omp simd
        for (std::size_t j = first; j < last; ++j) sums[j] += values[j] * w[i] * others[j];
      } else {
#pragma omp simd
        for (std::size_t j = first; j < last; ++j) sums[j] += values[j] * others[j];
      }
    }
  });
}

template <class T>
void sum_and_scale_columns(MatrixView<const T> a, const T* b, const T* scales, T* sums, T* scaled) {
  const std::size_t columns = a.columns;
  for_columns(columns, [&](std::size_t first, std::size_t last) {
    std::fill(sums + first, sums + last, T{0});
    for (std::size_t i = 0; i < a.rows; ++i) {
      const T *values = a.row(i), *others = b + i * columns;
      T* out = scaled + i * columns;
#pragma omp simd
      for (std::size_t j = first; j < last; ++j) {
        sums[j] += values[j] * others[j];
        out[j] = scales[j] * values[j];
      }
    }
  });
}

template <class T>
void combine(std::size_t n, T alpha, const T* x, T beta, T* y) {
  constexpr std::size_t parallel_size = 1 << 15;
#pragma omp parallel for simd schedule(static) if (n >= parallel_size && !omp_in_parallel())
  for (std::size_t i = 0; i < n; ++i) y[i] = alpha * x[i] + beta * y[i];
}

template <class T>
void scale_rows(const T* scales, MatrixView<T> x) {
  for_rows(x.rows, [&](std::size_t i) {
    T* values = x.row(i);
    const T scale = scales[i];
    for (std::size_t j = 0; j < x.columns; ++j) values[j] *= scale;
  });
}

template <class T>
void scale_columns(const T* scales, MatrixView<T> x) {
  for_rows(x.rows, [&](std::size_t i) {
    T* values = x.row(i);
    for (std::size_t j = 0; j < x.columns; ++j) values[j] *= scales[j];
  });
}

template <class T>
void scale_rows_by_columns(const T* outer, const T* inner, const T* columns, const T* added,
                           MatrixView<T> x) {
  for_rows(x.rows, [&](std::size_t i) {
    T* values = x.row(i);
    for (std::size_t j = 0; j < x.columns; ++j)
      values[j] *= outer[i] * (inner[i] * columns[j] + added[i]);
  });
}

template <class T>
void project_rows(const T* scales, const T* along, const T* v, MatrixView<T> x) {
  for_rows(x.rows, [&](std::size_t i) {
    T* values = x.row(i);
    const T* others = v + i * x.columns;
    for (std::size_t j = 0; j < x.columns; ++j)
      values[j] = scales[i] * (values[j] - along[i] * others[j]);
  });
}

template <class T>
void project_columns(const T* scales, const T* along, const T* w, const T* v, MatrixView<T> x) {
  for_rows(x.rows, [&](std::size_t i) {
    T* values = x.row(i);
    const T* others = v + i * x.columns;
    for (std::size_t j = 0; j < x.columns; ++j)
      values[j] = scales[j] * (values[j] - along[j] * w[i] * others[j]);
  });
}

template void sum_rows(MatrixView<const float>, const float*, const float*, float*);
template void sum_rows(MatrixView<const double>, const double*, const double*, double*);
template void sum_columns(MatrixView<const float>, const float*, const float*, float*);
template void sum_columns(MatrixView<const double>, const double*, const double*, double*);
template void sum_and_scale_columns(MatrixView<const float>, const float*, const float*, float*,
                                    float*);
template void sum_and_scale_columns(MatrixView<const double>, const double*, const double*, double*,
                                    double*);
template void combine(std::size_t, float, const float*, float, float*);
template void combine(std::size_t, double, const double*, double, double*);
template void scale_rows(const float*, MatrixView<float>);
template void scale_rows(const double*, MatrixView<double>);
template void scale_columns(const float*, MatrixView<float>);
template void scale_columns(const double*, MatrixView<double>);
template void scale_rows_by_columns(const float*, const float*, const float*, const float*,
                                    MatrixView<float>);
template void scale_rows_by_columns(const double*, const double*, const double*, const double*,
                                    MatrixView<double>);
template void project_rows(const float*, const float*, const float*, MatrixView<float>);
template void project_rows(const double*, const double*, const double*, MatrixView<double>);
template void project_columns(const float*, const float*, const float*, const float*,
                              MatrixView<float>);
template void project_columns(const double*, const double*, const double*, const double*,
                              MatrixView<double>);

}  // namespace rankfold::cpu
