#include "core/linalg/linear_algebra.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"

// Column-major, by reference, as Fortran has it.
extern "C" {
void dgesdd_(const char* job, const int* m, const int* n, double* a, const int* lda, double* s,
             double* u, const int* ldu, double* vt, const int* ldvt, double* work, const int* size,
             int* integers, int* info);
void dgeqrf_(const int* m, const int* n, double* a, const int* lda, double* tau, double* work,
             const int* size, int* info);
void dsyevd_(const char* job, const char* triangle, const int* n, double* a, const int* lda,
             double* w, double* work, const int* size, int* integers, const int* integer_size,
             int* info);
void dpstrf_(const char* triangle, const int* n, double* a, const int* lda, int* pivots, int* rank,
             const double* tolerance, double* work, int* info);
void dorgqr_(const int* m, const int* n, const int* k, double* a, const int* lda, const double* tau,
             double* work, const int* size, int* info);
void dpotrf_(const char* triangle, const int* n, double* a, const int* lda, int* info);
void dpotrs_(const char* triangle, const int* n, const int* count, const double* a, const int* lda,
             double* b, const int* ldb, int* info);
void dtrsm_(const char* side, const char* triangle, const char* transposed, const char* diagonal,
            const int* m, const int* n, const double* alpha, const double* a, const int* lda,
            double* b, const int* ldb);
}

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
  // Read by columns the memory holds A^T = V^T diag(s) U^T, whose parts come out where ours go.
  std::vector<double> values = rows_of(a);
  const std::size_t k = std::min(a.rows, a.columns);
  const int m = to_lapack(a.columns), n = to_lapack(a.rows), least = to_lapack(k);
  Svd result{std::vector<double>(a.rows * k), std::vector<double>(k),
             std::vector<double>(k * a.columns)};
  if (k == 0) return result;
  expect_finite(values);
  std::vector<int> integers(8 * k);
  double best = 0;
  int info = 0, size = -1;
  dgesdd_("S", &m, &n, values.data(), &m, result.s.data(), result.v.data(), &m, result.u.data(),
          &least, &best, &size, integers.data(), &info);
  size = static_cast<int>(best);
  std::vector<double> work(static_cast<std::size_t>(size));
  dgesdd_("S", &m, &n, values.data(), &m, result.s.data(), result.v.data(), &m, result.u.data(),
          &least, work.data(), &size, integers.data(), &info);
  expect_success("dgesdd", info);
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
  const int m = to_lapack(a.rows), n = to_lapack(a.columns);
  if (n == 0) return {};
  std::vector<double> tau(a.columns), work(64 * a.columns);
  const int size = to_lapack(work.size());
  int info = 0;
  dgeqrf_(&m, &n, values.data(), &m, tau.data(), work.data(), &size, &info);
  expect_success("dgeqrf", info);
  std::vector<double> diagonal;
  for (std::size_t i = 0; i < a.columns; ++i) diagonal.push_back(values[i * a.rows + i]);
  dorgqr_(&m, &n, &n, values.data(), &m, tau.data(), work.data(), &size, &info);
  expect_success("dorgqr", info);
  std::vector<double> columns(values.size());
  for (std::size_t row = 0; row < a.rows; ++row)
    for (std::size_t column = 0; column < a.columns; ++column)
      columns[row * a.columns + column] =
          (diagonal[column] < 0 ? -1 : 1) * values[column * a.rows + row];
  return columns;
}

namespace {

/// The eigenvalues, rising, of a symmetric matrix of which one triangle, by columns, is read; with
/// job "V" column j of `a` becomes the vector of value j.
std::vector<double> solve_symmetric(const char* job, const char* triangle, std::vector<double>& a,
                                    std::size_t size) {
  std::vector<double> values(size);
  if (size == 0) return values;
  expect_finite(a);
  const int n = to_lapack(size);
  int info = 0, work_size = -1, integer_size = -1, integers_needed = 0;
  double needed = 0;
  dsyevd_(job, triangle, &n, a.data(), &n, values.data(), &needed, &work_size, &integers_needed,
          &integer_size, &info);
  work_size = static_cast<int>(needed);
  integer_size = integers_needed;
  std::vector<double> work(static_cast<std::size_t>(work_size));
  std::vector<int> integers(static_cast<std::size_t>(integer_size));
  dsyevd_(job, triangle, &n, a.data(), &n, values.data(), work.data(), &work_size, integers.data(),
          &integer_size, &info);
  expect_success("dsyevd", info);
  return values;
}

}  // namespace

std::vector<double> symmetric_eigenvalues(std::vector<double> a, std::size_t size) {
  return solve_symmetric("N", "U", a, size);
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
  const int n = to_lapack(size);
  int rank = 0, info = 0;
  std::vector<int> pivots(size);
  std::vector<double> work(2 * size);
  dpstrf_("U", &n, gram.data(), &n, pivots.data(), &rank, &tolerance, work.data(), &info);
  if (info < 0) expect_success("dpstrf", info);
  return static_cast<std::size_t>(rank);
}

SymmetricParts decompose_symmetric(MatrixView<const double> a) {
  const std::size_t size = a.rows;
  if (a.columns != size)
    throw Error("linear algebra: a matrix of {} x {} is not symmetric", a.rows, a.columns);
  if (size == 0) return {};
  std::vector<double> values = rows_of(a);
  const std::vector<double> rising = solve_symmetric("V", "L", values, size);
  // Column j of LAPACK's result is row j of ours, values rising.
  SymmetricParts parts{std::vector<double>(size), std::vector<double>(size * size)};
  for (std::size_t j = 0; j < size; ++j) {
    const std::size_t from = size - 1 - j;
    parts.values[j] = rising[from];
    for (std::size_t i = 0; i < size; ++i) parts.vectors[i * size + j] = values[from * size + i];
  }
  return parts;
}

std::vector<double> upper_root(std::vector<double> a, std::size_t n) {
  if (n == 0) return a;
  expect_finite(a);
  // The lower triangle by columns is the upper one by rows.
  const int order = to_lapack(n);
  int info = 0;
  dpotrf_("L", &order, a.data(), &order, &info);
  if (info != 0) throw Error("linear algebra: a matrix is not positive definite");
  for (std::size_t i = 0; i < n; ++i)
    std::fill_n(a.begin() + static_cast<std::ptrdiff_t>(i * n), i, 0.0);
  return a;
}

void solve_upper(const std::vector<double>& r, std::size_t n, double* right, std::size_t columns) {
  if (n == 0 || columns == 0) return;
  // By columns the memory holds x^T R^T = b^T.
  const int order = to_lapack(n), count = to_lapack(columns);
  const double one = 1;
  dtrsm_("R", "L", "N", "N", &count, &order, &one, r.data(), &order, right, &count);
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
    int info = 0;
    dpotrf_("L", &order, factor.data(), &order, &info);
    if (info == 0) break;
    if (attempt == 12) expect_success("dpotrf", info);
  }
  for (std::size_t i = 0; i < count * n; ++i) right[i] += shift * start[i];
  int info = 0;
  dpotrs_("L", &order, &rows, factor.data(), &order, right, &order, &info);
  expect_success("dpotrs", info);
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
