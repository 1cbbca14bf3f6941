#pragma once

#include <cstddef>

#include "core/device/row_kernels.h"
#include "core/device/views.h"

namespace rankfold {

/// What a device computes in either precision. All pointers are to the device's memory, matrices
/// row-major; outputs overwrite unless said otherwise, and share no memory with an input but where
/// they are the same argument. `a`, `b`, `from` ... of plain pointers lie without gaps.
template <class T>
class DeviceOperations {
 public:
  virtual ~DeviceOperations() = default;

  // Products.

  /// C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C; op transposes where asked. beta 0 overwrites.
  virtual void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
                    T alpha, const T* a, std::size_t stride_a, const T* b, std::size_t stride_b,
                    T beta, T* c, std::size_t stride_c) const = 0;
  /// target[...] += alpha a[...] b[...] over the loop nest, run as it stands; b may be null (taken
  /// as 1). Copies with any permutation, broadcasts, sums and elementwise products are all this
  /// call.
  virtual void accumulate(const StridedLoop& loop, T alpha, const T* a, const T* b,
                          T* target) const = 0;
  /// target[...] = 0 over the loop nest; a and b of its dimensions are not read.
  virtual void clear(const StridedLoop& loop, T* target) const = 0;

  // Rows and elements.

  /// out[0 .. n-1] = value.
  virtual void fill(std::size_t n, T value, T* out) const = 0;
  /// to = from.
  virtual void copy_matrix(MatrixView<const T> from, MatrixView<T> to) const = 0;
  /// to += from.
  virtual void add_matrix(MatrixView<const T> from, MatrixView<T> to) const = 0;
  /// Every row of `out` = row[out.columns]; zeros where `row` is null.
  virtual void fill_rows(const T* row, MatrixView<T> out) const = 0;
  /// kept[y.rows, y.columns] = y, then every row of y += row, which may be null (taken as 0).
  virtual void keep_and_add_row(const T* row, MatrixView<T> y, T* kept) const = 0;
  /// x[i] = max(x[i], 0).
  virtual void relu(std::size_t n, T* x) const = 0;
  /// d[i] = 0 where x[i], an input or output of relu, is not above 0.
  virtual void relu_backward(std::size_t n, const T* x, T* d) const = 0;
  /// x[i] = f(x[i]), and slopes[i] = f'(x[i]) where `slopes` is not null.
  virtual void apply(HiddenActivation function, std::size_t n, T* x, T* slopes) const = 0;

  // Sums and scalings, of weights with norms. The order of a sum depends on no number of threads.

  /// sums[i] = sum over j of a[i,j] b[i,j], of w[j] a[i,j] b[i,j] where `w` is not null.
  virtual void sum_rows(MatrixView<const T> a, const T* b, const T* w, T* sums) const = 0;
  /// sums[j] = sum over i of a[i,j] b[i,j], of a[i,j] w[i] b[i,j] where `w` is not null.
  virtual void sum_columns(MatrixView<const T> a, const T* b, const T* w, T* sums) const = 0;
  /// sum_columns without w, and scaled[i,j] = scales[j] a[i,j] in the same pass.
  virtual void sum_and_scale_columns(MatrixView<const T> a, const T* b, const T* scales, T* sums,
                                     T* scaled) const = 0;
  /// y = alpha x + beta y.
  virtual void combine(std::size_t n, T alpha, const T* x, T beta, T* y) const = 0;
  /// x[i,j] *= scales[i].
  virtual void scale_rows(const T* scales, MatrixView<T> x) const = 0;
  /// x[i,j] *= scales[j].
  virtual void scale_columns(const T* scales, MatrixView<T> x) const = 0;
  /// x[i,j] *= outer[i] (inner[i] columns[j] + added[i]).
  virtual void scale_rows_by_columns(const T* outer, const T* inner, const T* columns,
                                     const T* added, MatrixView<T> x) const = 0;
  /// x[i,j] = scales[i] (x[i,j] - along[i] v[i,j]).
  virtual void project_rows(const T* scales, const T* along, const T* v, MatrixView<T> x) const = 0;
  /// x[i,j] = scales[j] (x[i,j] - along[j] w[i] v[i,j]).
  virtual void project_columns(const T* scales, const T* along, const T* w, const T* v,
                               MatrixView<T> x) const = 0;
};

}  // namespace rankfold
