#include "core/linalg/low_rank_dynamics.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

enum class Transpose { no, yes };

/// op(A)[m,k] op(B)[k,n] of contiguous matrices, but for A's stride.
std::vector<double> multiply(const Device& device, Transpose transpose_a, Transpose transpose_b,
                             std::size_t m, std::size_t n, std::size_t k, const double* a,
                             std::size_t stride_a, const std::vector<double>& b) {
  std::vector<double> c(m * n);
  expect_host_memory(device, "low-rank training");
  device.gemm(transpose_a == Transpose::yes, transpose_b == Transpose::yes, m, n, k, 1.0, a,
              stride_a, b.data(), transpose_b == Transpose::yes ? k : n, 0.0, c.data(), n);
  return c;
}

struct Basis {
  std::vector<double> columns;  ///< [rows, count]
  std::size_t count = 0;
};

/// Orthonormal columns of [old added], both [rows, rank]: as many as there are rows span it all.
Basis augment(const std::vector<double>& old, const std::vector<double>& added, std::size_t rows,
              std::size_t rank) {
  const std::size_t count = std::min(2 * rank, rows);
  std::vector<double> both(rows * count);
  for (std::size_t row = 0; row < rows; ++row)
    for (std::size_t column = 0; column < count; ++column)
      both[row * count + column] =
          column < rank ? old[row * rank + column] : added[row * rank + column - rank];
  return {orthonormal_columns({both.data(), rows, count}), count};
}

/// The least rank whose tail is within the tolerance, from 1 to the largest one.
std::size_t truncated_rank(const std::vector<double>& values, const RankLimit& limit) {
  double total = 0;
  for (const double value : values) total += value * value;
  const double allowed = limit.tolerance * limit.tolerance * total;
  std::size_t rank = values.size();
  double tail = 0;
  while (rank > 1) {
    tail += values[rank - 1] * values[rank - 1];
    if (tail > allowed) break;
    --rank;
  }
  return std::min(rank, limit.most);
}

void check(const LowRankMatrix& y, MatrixView<const double> a, const RankLimit& limit) {
  if (a.rows != y.out || a.columns != y.in)
    throw Error("low-rank step: got a matrix {} x {}, expected {} x {}", a.rows, a.columns, y.out,
                y.in);
  const std::size_t side = std::min(y.out, y.in);
  for (const std::size_t rank : {y.rank, limit.most})
    if (rank == 0 || rank > side)
      throw Error("low-rank step: a rank is {}, expected 1 to {}", rank, side);
  if (y.u.size() != y.out * y.rank || y.s.size() != y.rank * y.rank || y.v.size() != y.in * y.rank)
    throw Error("low-rank step: U, S, V hold {}, {} and {} numbers, expected {}, {} and {}",
                y.u.size(), y.s.size(), y.v.size(), y.out * y.rank, y.rank * y.rank, y.in * y.rank);
  if (!(limit.tolerance >= 0 && limit.tolerance < 1))
    throw Error("low-rank step: tau is {}, expected 0 or more and below 1", limit.tolerance);
}

}  // namespace

std::vector<double> expand(const LowRankMatrix& matrix, const Device& device) {
  const auto& [out, in, rank, u, s, v] = matrix;
  const std::vector<double> us =
      multiply(device, Transpose::no, Transpose::no, out, rank, rank, u.data(), rank, s);
  return multiply(device, Transpose::no, Transpose::yes, out, in, rank, us.data(), rank, v);
}

LowRankMatrix low_rank_step(const LowRankMatrix& y, MatrixView<const double> a,
                            const RankLimit& limit, const Device& device) {
  check(y, a, limit);
  const auto [no, yes] = std::pair(Transpose::no, Transpose::yes);
  const std::vector<double> k =
      multiply(device, no, no, y.out, y.rank, y.in, a.data, a.stride, y.v);
  const std::vector<double> l =
      multiply(device, yes, no, y.in, y.rank, y.out, a.data, a.stride, y.u);
  const Basis left = augment(y.u, k, y.out, y.rank), right = augment(y.v, l, y.in, y.rank);

  // A V^ [out, right], then S^ = U^^T (A V^).
  const std::vector<double> av =
      multiply(device, no, no, y.out, right.count, y.in, a.data, a.stride, right.columns);
  const std::vector<double> s = multiply(device, yes, no, left.count, right.count, y.out,
                                         left.columns.data(), left.count, av);
  const Svd svd = decompose_svd({s.data(), left.count, right.count});

  LowRankMatrix next;
  next.out = y.out;
  next.in = y.in;
  next.rank = truncated_rank(svd.s, limit);
  const std::size_t rank = next.rank, full = svd.s.size();
  std::vector<double> p(left.count * rank), q(right.count * rank);
  for (std::size_t column = 0; column < rank; ++column) {
    for (std::size_t i = 0; i < left.count; ++i) p[i * rank + column] = svd.u[i * full + column];
    for (std::size_t j = 0; j < right.count; ++j)
      q[j * rank + column] = svd.v[column * right.count + j];
  }
  next.u = multiply(device, no, no, y.out, rank, left.count, left.columns.data(), left.count, p);
  next.v = multiply(device, no, no, y.in, rank, right.count, right.columns.data(), right.count, q);
  next.s.assign(rank * rank, 0);
  for (std::size_t i = 0; i < rank; ++i) next.s[i * rank + i] = svd.s[i];
  return next;
}

}  // namespace rankfold
