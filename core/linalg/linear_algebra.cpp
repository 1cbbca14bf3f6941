#include "core/linalg/linear_algebra.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include <xtensor-blas/xlinalg.hpp>
#include <xtensor/xadapt.hpp>

#include "core/base/error.h"

// Decompositions by xt::linalg, which calls the LAPACK routines named in the errors. Its qr copies
// Q and R twice (1.4 to 2 times as long for the sizes of a fit), its cholesky and solvers take one
// right side and copies of both: for these the routines below xt::linalg serve, on our memory.

namespace rankfold {
namespace {

int to_lapack(std::size_t value) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max()) / 8)
    throw Error("linear algebra: a dimension of {} is beyond what LAPACK can index", value);
  return static_cast<int>(value);
}

void expect_success(const char* routine, int info) {
  if (info != 0)
    throw Error("linear algebra: {} failed ({}): the matrix holds numbers that are not finite",
                routine, info);
}

/// The matrix [rows, columns] that LAPACK sees in memory that holds it column by column: of our
/// rows, it sees the transpose. No copy: what is computed in place changes `values`.
auto by_columns(std::vector<double>& values, std::size_t rows, std::size_t columns) {
  to_lapack(rows);
  to_lapack(columns);
  return xt::adapt<xt::layout_type::column_major>(values.data(), values.size(), xt::no_ownership(),
                                                  std::array<std::size_t, 2>{rows, columns});
}

/// What `compute` gives; failures of xt::linalg as errors of ours.
template <class Compute>
auto decompose(const char* routine, const Compute& compute) {
  try {
    return compute();
  } catch (const std::runtime_error& failure) {
    throw Error("linear algebra: {} failed ({}): the matrix holds numbers that are not finite",
                routine, failure.what());
  }
}

void expect_finite(const std::vector<double>& values) {
  if (!std::ranges::all_of(values, [](double value) { return std::isfinite(value); }))
    throw Error("linear algebra: a matrix holds numbers that are not finite");
}

std::vector<double> rows_of(MatrixView<const double> a) {
  std::vector<double> values;
  values.reserve(a.rows * a.columns);
  for (std::size_t row = 0; row < a.rows; ++row)
    values.insert(values.end(), a.row(row), a.row(row) + a.columns);
  return values;
}

}  // namespace

Svd decompose_svd(MatrixView<const double> a) {
  const std::size_t k = std::min(a.rows, a.columns);
  if (k == 0) return {};
  std::vector<double> values = rows_of(a);
  const auto transposed = by_columns(values, a.columns, a.rows);
  expect_finite(values);
  // A^T = V^T diag(s) U^T by columns is V and U by rows.
  const auto [v, s, u] =
      decompose("dgesdd", [&] { return xt::linalg::svd(transposed, /*full_matrices=*/false); });
  const auto copy = [](const auto& array) {
    return std::vector<double>(array.storage().begin(), array.storage().end());
  };
  Svd result{copy(u), copy(s), copy(v)};
  for (std::size_t i = 0; i < k; ++i) {
    const auto row = result.v.begin() + static_cast<std::ptrdiff_t>(i * a.columns);
    const auto largest =
        std::max_element(row, row + static_cast<std::ptrdiff_t>(a.columns),
                         [](double x, double y) { return std::abs(x) < std::abs(y); });
    if (*largest >= 0) continue;
    for (std::size_t j = 0; j < a.columns; ++j) row[static_cast<std::ptrdiff_t>(j)] *= -1;
    for (std::size_t j = 0; j < a.rows; ++j) result.u[j * k + i] *= -1;
  }
  return result;
}

std::vector<double> orthonormal_columns(MatrixView<const double> a) {
  if (a.rows < a.columns)
    throw Error("linear algebra: {} columns of {} numbers cannot be orthonormal", a.columns,
                a.rows);
  std::vector<double> values(a.rows * a.columns);  // by columns
  for (std::size_t row = 0; row < a.rows; ++row)
    for (std::size_t column = 0; column < a.columns; ++column)
      values[column * a.rows + row] = a.row(row)[column];
  if (a.columns == 0) return {};
  auto q = by_columns(values, a.rows, a.columns);
  xt::xtensor<double, 1> tau = xt::empty<double>({a.columns});
  expect_success("dgeqrf", xt::lapack::geqrf(q, tau));
  std::vector<double> diagonal;
  for (std::size_t i = 0; i < a.columns; ++i) diagonal.push_back(values[i * a.rows + i]);
  expect_success("dorgqr", xt::lapack::orgqr(q, tau));
  std::vector<double> columns(values.size());
  for (std::size_t row = 0; row < a.rows; ++row)
    for (std::size_t column = 0; column < a.columns; ++column)
      columns[row * a.columns + column] =
          (diagonal[column] < 0 ? -1 : 1) * values[column * a.rows + row];
  return columns;
}

std::vector<double> symmetric_eigenvalues(std::vector<double> a, std::size_t size) {
  if (size == 0) return {};
  const auto matrix = by_columns(a, size, size);
  expect_finite(a);
  // Their upper triangle is our lower one.
  const auto values = decompose("dsyevd", [&] { return xt::linalg::eigvalsh(matrix, 'U'); });
  return {values.begin(), values.end()};
}

std::size_t rank_of_gram(std::vector<double> gram, std::size_t size) {
  constexpr double tolerance = 1e-11;
  constexpr std::size_t most_eigenvalues = 600;
  std::vector<double> scale(size, 0);
  for (std::size_t i = 0; i < size; ++i)
    if (gram[i * size + i] > 0) scale[i] = 1 / std::sqrt(gram[i * size + i]);
  for (std::size_t i = 0; i < size; ++i)
    for (std::size_t j = 0; j <= i; ++j) gram[i * size + j] *= scale[i] * scale[j];
  if (size <= most_eigenvalues) {
    const std::vector<double> values = symmetric_eigenvalues(std::move(gram), size);
    const double least = size == 0 ? 0 : tolerance * values.back();
    return static_cast<std::size_t>(
        std::ranges::count_if(values, [&](double value) { return value > least; }));
  }
  expect_finite(gram);
  int rank = 0;
  std::vector<int> pivots(size);
  std::vector<double> work(2 * size);
  const int n = to_lapack(size);
  cxxlapack::pstrf('U', n, gram.data(), n, pivots.data(), rank, tolerance, work.data());
  return static_cast<std::size_t>(rank);
}

SymmetricParts decompose_symmetric(MatrixView<const double> a) {
  const std::size_t size = a.rows;
  if (a.columns != size)
    throw Error("linear algebra: a matrix of {} x {} is not symmetric", a.rows, a.columns);
  if (size == 0) return {};
  std::vector<double> values = rows_of(a);
  const auto matrix = by_columns(values, size, size);
  expect_finite(values);
  const auto [rising, vectors] = decompose("dsyevd", [&] { return xt::linalg::eigh(matrix, 'L'); });
  // Column j of LAPACK's result is row j of ours, values rising.
  SymmetricParts parts{std::vector<double>(size), std::vector<double>(size * size)};
  for (std::size_t j = 0; j < size; ++j) {
    const std::size_t from = size - 1 - j;
    parts.values[j] = rising(from);
    for (std::size_t i = 0; i < size; ++i) parts.vectors[i * size + j] = vectors(i, from);
  }
  return parts;
}

std::vector<double> upper_root(std::vector<double> a, std::size_t n) {
  if (n == 0) return a;
  expect_finite(a);
  auto matrix = by_columns(a, n, n);
  // The lower triangle by columns is the upper one by rows.
  if (xt::lapack::potr(matrix, 'L') != 0)
    throw Error("linear algebra: a matrix is not positive definite");
  for (std::size_t i = 0; i < n; ++i)
    std::fill_n(a.begin() + static_cast<std::ptrdiff_t>(i * n), i, 0.0);
  return a;
}

void solve_upper(const std::vector<double>& r, std::size_t n, double* right, std::size_t columns) {
  if (n == 0 || columns == 0) return;
  // By columns the memory holds x^T R^T = b^T.
  const int order = to_lapack(n), count = to_lapack(columns);
  cxxblas::trsm(cxxblas::ColMajor, cxxblas::Right, cxxblas::Lower, cxxblas::NoTrans,
                cxxblas::NonUnit, count, order, 1.0, r.data(), order, right, count);
}

void solve_positive(std::vector<double>& a, std::size_t n, double ridge, const double* start,
                    double* right, std::size_t count) {
  if (n == 0 || count == 0) return;
  double trace = 0;
  for (std::size_t i = 0; i < n; ++i) trace += a[i * n + i];
  if (!std::isfinite(trace))
    throw Error("linear algebra: the normal equations hold numbers that are not finite");
  if (trace <= 0) {  // nothing depends on x
    std::copy_n(start, count * n, right);
    return;
  }
  const int order = to_lapack(n), rows = to_lapack(count);
  std::vector<double> factor;
  double shift = ridge * trace / static_cast<double>(n);
  for (int attempt = 0;; ++attempt, shift *= 100) {
    factor = a;
    for (std::size_t i = 0; i < n; ++i) factor[i * n + i] += shift;
    auto matrix = by_columns(factor, n, n);
    const int info = xt::lapack::potr(matrix, 'L');
    if (info == 0) break;
    if (attempt == 12) expect_success("dpotrf", info);
  }
  for (std::size_t i = 0; i < count * n; ++i) right[i] += shift * start[i];
  expect_success("dpotrs", cxxlapack::potrs('L', order, rows, factor.data(), order, right, order));
}

template <class T>
double norm(std::span<const T> values) {
  double largest = 0, sum = 0;
  for (const T value : values) {
    const double size = std::abs(static_cast<double>(value));
    if (!std::isfinite(size)) return std::numeric_limits<double>::quiet_NaN();
    largest = std::max(largest, size);
  }
  if (largest == 0) return 0;
  const int exponent = std::ilogb(largest);
  for (const T value : values) {
    const double scaled = std::scalbn(static_cast<double>(value), -exponent);
    sum += scaled * scaled;
  }
  return std::scalbn(std::sqrt(sum), exponent);
}

template double norm(std::span<const float>);
template double norm(std::span<const double>);

}  // namespace rankfold
