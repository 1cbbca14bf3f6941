#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/device/device.h"

// Dense factorisations in double precision through LAPACK. Matrices are row-major; sizes beyond
// what LAPACK can index throw Error.

namespace rankfold {

/// The 2-norm, of numbers whose squares may be out of range; not a number where one is not finite.
template <class T>
double norm(std::span<const T> values);

/// A[m,n] = U[m,k] diag(s) V[k,n] with k = min(m, n), singular values falling.
struct Svd {
  std::vector<double> u, s, v;
};
/// Signs are those that make the largest entry (the first of them) of each row of V positive.
Svd decompose_svd(MatrixView<const double> a);

/// The same for a matrix that is expected to be of low rank, with k of 32, 64, ...: the leading
/// values that the first so many random probes find with |A - U diag(s) V| <= tolerance |A|
/// (Frobenius); all min(m, n) where the rank is not low. Source: Halko,
/// Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53 (2011), algorithms 4.2
/// and 5.1. Throws Error unless 0 < tolerance < 1.
Svd decompose_low_rank(MatrixView<const double> a, double tolerance, const Device& device);

/// Orthonormal columns that span those of A[m,n], m >= n, by QR with a positive diagonal of R.
std::vector<double> orthonormal_columns(MatrixView<const double> a);

/// The eigenvalues of a symmetric matrix of `size` rows, rising; its lower triangle is read.
std::vector<double> symmetric_eigenvalues(std::vector<double> a, std::size_t size);

/// The numerical rank of J from `gram` = J^T J [size, size], its columns scaled to one norm: the
/// eigenvalues above 1e-11 of the largest (singular values of J above 3e-6), or in large matrices
/// the pivots above 1e-11 of the Cholesky factorisation that always takes the largest next.
std::size_t rank_of_gram(std::vector<double> gram, std::size_t size);

/// A[n,n] = V diag(values) V^T of a symmetric matrix, values falling; row-major vectors[n,n] has
/// the vector of values[j] in column j.
struct SymmetricParts {
  std::vector<double> values, vectors;
};
SymmetricParts decompose_symmetric(MatrixView<const double> a);

/// The upper triangular R[n,n] with A = R^T R (Cholesky) of a symmetric positive definite A[n,n].
/// Throws Error where it is not positive definite to rounding.
std::vector<double> upper_root(std::vector<double> a, std::size_t n);

/// Solves R x = b for upper triangular R[n,n]; `right` holds b[n, columns] before and x after it.
void solve_upper(const std::vector<double>& r, std::size_t n, double* right, std::size_t columns);

/// Solves (A + h I) x = b + h x0 for every row of right[count, n], which holds b before and x after
/// it, with h = ridge * trace(A) / n: near the least squares solution for a singular A, and exactly
/// x0 where that solves it. Where A + h I is not positive definite to rounding, h grows. A[n,n] is
/// symmetric, contiguous, and overwritten; `start` is x0[count, n].
void solve_positive(std::vector<double>& a, std::size_t n, double ridge, const double* start,
                    double* right, std::size_t count);

}  // namespace rankfold
