#pragma once

#include <cstddef>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// U[out, rank] S[rank, rank] V[in, rank]^T, row-major; the columns of U and V are orthonormal.
struct LowRankMatrix {
  std::size_t out = 0, in = 0, rank = 0;
  std::vector<double> u, s, v;
};

/// The product [out, in].
std::vector<double> expand(const LowRankMatrix& matrix, const Device& device);

/// How much a truncation may take away.
struct RankLimit {
  double tolerance = 0.1;  ///< tau: of the norm |S|_F, that of what is cut off; 0 or more, below 1
  std::size_t most = 1;    ///< the largest rank
};

/// One step of rank-adaptive dynamical low-rank training (the K, L and S steps). Y = U S V^T would
/// go to A = Y - h F for some direction F, such as the gradient; the step that keeps the rank is
///
///   K = U S - h F V,  L = V S^T - h F^T U           steps in the bases that there are
///   U^ = orth[U K],  V^ = orth[V L]           of up to twice the rank: Y = U^ U^^T Y V^ V^^T
///   S^ = U^^T Y V^ - h U^^T F V^              a step of the matrix between the new bases
///   P diag(s) Q^T = S^,  r = the least rank, at least 1 and at most `most`, with
///                        s_{r+1}^2 + ... <= tau^2 |S^|_F^2
///   U = U^ P_r,  S = diag(s_1 .. s_r),  V = V^ Q_r
///
/// The three steps start at one point Y, so that they need one F. As U^T U = V^T V = 1 and the new
/// bases hold the old ones, they are K = A V, L = A^T U and S^ = U^^T A V^: all that is computed,
/// which lets any rule choose A. Bases never grow beyond the sides of the matrix. S = 0 is a
/// sound start: K and L move all the same. Rounding aside, A = Y gives Y again where tau is 0.
///
/// Throws Error where A has not the sizes of Y or holds numbers that are not finite, where the rank
/// or `most` is 0 or exceeds a side, or where tau is outside [0, 1).
/// Source: Schotthoefer, Zangrando, Kusch, Ceruti, Tudisco, arXiv 2205.13571, algorithm 1; the
/// integrator is that of Ceruti, Kusch, Lubich, arXiv 2104.05247.
LowRankMatrix low_rank_step(const LowRankMatrix& y, MatrixView<const double> a,
                            const RankLimit& limit, const Device& device);

}  // namespace rankfold
