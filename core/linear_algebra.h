#pragma once

#include <cstddef>
#include <vector>

#include "core/backend.h"

// Dense factorisations in double precision through LAPACK. Matrices are row-major; sizes beyond
// what LAPACK can index throw Error.

namespace rankfold {

/// A[m,n] = U[m,k] diag(s) V[k,n] with k = min(m, n), singular values falling.
struct Svd {
  std::vector<double> u, s, v;
};
/// Signs are those that make the largest entry (the first of them) of each row of V positive.
Svd decompose_svd(MatrixView<const double> a);

/// Orthonormal columns that span those of A[m,n], m >= n, by QR with a positive diagonal of R.
std::vector<double> orthonormal_columns(MatrixView<const double> a);

}  // namespace rankfold
