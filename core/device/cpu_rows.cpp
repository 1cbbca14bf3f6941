#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <utility>

#include "core/device/cpu_bodies.h"

// Rows and elements of the CPU's device.

namespace rankfold::cpu {

template <class T>
void fill(std::size_t n, T value, T* out) {
  if (n == 0) return;
  if (value == T{0})
    std::memset(static_cast<void*>(out), 0, n * sizeof(T));
  else
    std::fill_n(out, n, value);
}

template <class T>
void copy_matrix(MatrixView<const T> from, MatrixView<T> to) {
  for_rows(from.rows, [&](std::size_t i) { std::copy_n(from.row(i), from.columns, to.row(i)); });
}

template <class T>
void add_matrix(MatrixView<const T> from, MatrixView<T> to) {
  for_rows(to.rows, [&](std::size_t i) {
    const T* values = from.row(i);
    T* row = to.row(i);
    for (std::size_t j = 0; j < to.columns; ++j) row[j] += values[j];
  });
}

template <class T>
void fill_rows(const T* row, MatrixView<T> out) {
  for_rows(out.rows, [&](std::size_t i) {
    if (row)
      std::copy_n(row, out.columns, out.row(i));
    else
      std::fill_n(out.row(i), out.columns, T{0});
  });
}

template <class T>
void keep_and_add_row(const T* row, MatrixView<T> y, T* kept) {
  for_rows(y.rows, [&](std::size_t i) {
    T* values = y.row(i);
    std::copy_n(values, y.columns, kept + i * y.columns);
    for (std::size_t j = 0; row && j < y.columns; ++j) values[j] += row[j];
  });
}

template <class T>
void relu(std::size_t n, T* x) {
  for (std::size_t i = 0; i < n; ++i) x[i] = std::max(x[i], T{0});
}

template <class T>
void relu_backward(std::size_t n, const T* x, T* d) {
  for (std::size_t i = 0; i < n; ++i)
    if (!(x[i] > T{0})) d[i] = T{0};
}

namespace {

/// f(x) and f'(x) in double precision.
std::pair<double, double> value_and_slope(HiddenActivation function, double x) {
  const double root = std::numbers::sqrt2 / std::sqrt(std::numbers::pi);  // sqrt(2 / pi)
  switch (function) {
    case HiddenActivation::gelu: {
      const double cumulative = 0.5 * std::erfc(-x / std::numbers::sqrt2);
      return {x * cumulative, cumulative + 0.5 * root * x * std::exp(-0.5 * x * x)};
    }
    case HiddenActivation::gelu_tanh: {
      const double tangent = std::tanh(root * (x + 0.044715 * x * x * x));
      const double inner = root * (1 + 3 * 0.044715 * x * x);
      return {0.5 * x * (1 + tangent),
              0.5 * (1 + tangent) + 0.5 * x * (1 - tangent * tangent) * inner};
    }
    case HiddenActivation::relu:
      return {std::max(x, 0.0), x > 0 ? 1.0 : 0.0};
    case HiddenActivation::silu: {
      const double logistic = 1 / (1 + std::exp(-x));
      return {x * logistic, logistic + x * logistic * (1 - logistic)};
    }
    case HiddenActivation::tanh: {
      const double tangent = std::tanh(x);
      return {tangent, 1 - tangent * tangent};
    }
  }
  return {};
}

}  // namespace

template <>
void apply(HiddenActivation function, std::size_t n, float* x, float* slopes) {
  activate_row(function, n, x, nullptr, x, slopes);
}

template <>
void apply(HiddenActivation function, std::size_t n, double* x, double* slopes) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto [value, slope] = value_and_slope(function, x[i]);
    x[i] = value;
    if (slopes) slopes[i] = slope;
  }
}

template void fill(std::size_t, float, float*);
template void fill(std::size_t, double, double*);
template void copy_matrix(MatrixView<const float>, MatrixView<float>);
template void copy_matrix(MatrixView<const double>, MatrixView<double>);
template void add_matrix(MatrixView<const float>, MatrixView<float>);
template void add_matrix(MatrixView<const double>, MatrixView<double>);
template void fill_rows(const float*, MatrixView<float>);
template void fill_rows(const double*, MatrixView<double>);
template void keep_and_add_row(const float*, MatrixView<float>, float*);
template void keep_and_add_row(const double*, MatrixView<double>, double*);
template void relu(std::size_t, float*);
template void relu(std::size_t, double*);
template void relu_backward(std::size_t, const float*, float*);
template void relu_backward(std::size_t, const double*, double*);

}  // namespace rankfold::cpu
