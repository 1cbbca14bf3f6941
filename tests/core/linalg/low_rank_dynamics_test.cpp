#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"
#include "core/linalg/low_rank_dynamics.h"

namespace rankfold {
namespace {

using Values = std::vector<double>;

Values normal_numbers(std::size_t count, const char* purpose) {
  Values values(count);
  RandomStream(7, purpose).fill_normal<double>(values, 0, 1);
  return values;
}

/// op(A)[m,k] op(B)[k,n] by its definition.
Values product(const Values& a, const Values& b, std::size_t m, std::size_t k, std::size_t n,
               bool transpose_a = false, bool transpose_b = false) {
  Values c(m * n, 0);
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t p = 0; p < k; ++p)
        c[i * n + j] += (transpose_a ? a[p * m + i] : a[i * k + p]) *
                        (transpose_b ? b[j * k + p] : b[p * n + j]);
  return c;
}

Values sum(const Values& a, double factor, const Values& b) {
  Values c = a;
  for (std::size_t i = 0; i < c.size(); ++i) c[i] += factor * b[i];
  return c;
}

double norm(const Values& a) {
  double squares = 0;
  for (const double value : a) squares += value * value;
  return std::sqrt(squares);
}

double difference(const Values& a, const Values& b) {
  EXPECT_EQ(a.size(), b.size());
  return norm(sum(a, -1, b));
}

LowRankMatrix random_low_rank(std::size_t out, std::size_t in, std::size_t rank) {
  LowRankMatrix y{out, in, rank, {}, normal_numbers(rank * rank, "S"), {}};
  const Values u = normal_numbers(out * rank, "U"), v = normal_numbers(in * rank, "V");
  y.u = orthonormal_columns({u.data(), out, rank});
  y.v = orthonormal_columns({v.data(), in, rank});
  return y;
}

class LowRankStep : public testing::Test {
 protected:
  Values dense(const LowRankMatrix& y) const { return expand(y, *device); }
  LowRankMatrix step(const LowRankMatrix& y, const Values& a, const RankLimit& limit) const {
    return low_rank_step(y, {a.data(), y.out, y.in}, limit, *device);
  }
  std::shared_ptr<const Device> device = make_cpu_device();
};

TEST_F(LowRankStep, IsThePublishedStepsOfKLAndS) {
  constexpr std::size_t out = 9, in = 7, rank = 2;
  constexpr double rate = 0.3;
  const LowRankMatrix y = random_low_rank(out, in, rank);
  const Values g = normal_numbers(out * in, "G");
  const Values k = sum(product(y.u, y.s, out, rank, rank), -rate, product(g, y.v, out, in, rank));
  const Values l = sum(product(y.v, y.s, in, rank, rank, false, true), -rate,
                       product(g, y.u, in, out, rank, true));
  // The bases as the paper stacks them, [K U] and [L V].
  Values left(out * 2 * rank), right(in * 2 * rank);
  for (std::size_t p = 0; p < rank; ++p) {
    for (std::size_t i = 0; i < out; ++i) {
      left[i * 2 * rank + p] = k[i * rank + p];
      left[i * 2 * rank + rank + p] = y.u[i * rank + p];
    }
    for (std::size_t j = 0; j < in; ++j) {
      right[j * 2 * rank + p] = l[j * rank + p];
      right[j * 2 * rank + rank + p] = y.v[j * rank + p];
    }
  }
  const Values u = orthonormal_columns({left.data(), out, 2 * rank});
  const Values v = orthonormal_columns({right.data(), in, 2 * rank});
  const auto project = [&](const Values& matrix) {
    return product(product(u, matrix, 2 * rank, out, in, true), v, 2 * rank, in, 2 * rank);
  };
  const Values s = sum(project(dense(y)), -rate, project(g));
  const Values expected =
      product(product(u, s, out, 2 * rank, 2 * rank), v, out, 2 * rank, in, false, true);

  const LowRankMatrix next = step(y, sum(dense(y), -rate, g), {0, 2 * rank});
  EXPECT_EQ(next.rank, 2 * rank);
  EXPECT_LT(difference(dense(next), expected), 1e-13 * norm(expected));
}

TEST_F(LowRankStep, LeavesAMatrixThatIsToStay) {
  for (const auto& [out, in, rank] : {std::tuple{9, 7, 2}, {6, 8, 5}, {5, 4, 4}, {1, 3, 1}}) {
    const LowRankMatrix y =
        random_low_rank(static_cast<std::size_t>(out), static_cast<std::size_t>(in),
                        static_cast<std::size_t>(rank));
    const LowRankMatrix next = step(y, dense(y), {1e-12, y.rank});
    EXPECT_EQ(next.rank, y.rank);
    EXPECT_LT(difference(dense(next), dense(y)), 1e-13 * norm(dense(y)));
  }
}

TEST_F(LowRankStep, CutsOffNoMoreThanTauOfTheNorm) {
  const LowRankMatrix y = random_low_rank(12, 10, 5);
  std::size_t before = y.rank;
  for (const double tau : {0.05, 0.2, 0.5, 0.9}) {
    const LowRankMatrix next = step(y, dense(y), {tau, y.rank});
    const double lost = difference(dense(next), dense(y));
    EXPECT_LE(lost, tau * norm(y.s) * (1 + 1e-12)) << tau;
    EXPECT_LE(next.rank, before);
    before = next.rank;
    if (next.rank == 1) continue;
    // One value less would be beyond tau.
    const double last = next.s.back();
    EXPECT_GT(std::sqrt(lost * lost + last * last), tau * norm(y.s));
  }
  EXPECT_LT(before, y.rank);
}

TEST_F(LowRankStep, FindsTheRankOfALeastSquaresProblem) {
  // min |U S V^T - A|^2 / 2 with A of rank 3, from S = 0: G = Y - A.
  constexpr std::size_t out = 30, in = 20;
  const Values target = dense(random_low_rank(out, in, 3));
  LowRankMatrix y = random_low_rank(out, in, 8);
  std::ranges::fill(y.s, 0);
  double error = norm(target);
  for (int steps = 0; steps < 40; ++steps) {
    y = step(y, sum(sum(dense(y), -0.5, dense(y)), 0.5, target), {1e-3, 8});
    const double now = difference(dense(y), target);
    if (error > 0.01 * norm(target)) {
      EXPECT_LT(now, error) << steps;
    }
    error = now;
  }
  EXPECT_EQ(y.rank, 3U);
  EXPECT_LT(error, 2e-3 * norm(target));
}

TEST_F(LowRankStep, GrowsFromRankOneAndStaysBelowTheLargest) {
  const Values target = dense(random_low_rank(30, 20, 6));
  LowRankMatrix y = random_low_rank(30, 20, 1);
  std::vector<std::size_t> ranks;
  for (int steps = 0; steps < 4; ++steps) {
    y = step(y, target, {1e-6, 4});
    ranks.push_back(y.rank);
  }
  EXPECT_EQ(ranks, (std::vector<std::size_t>{2, 4, 4, 4}));
}

TEST_F(LowRankStep, KeepsOrthonormalBasesAndOneRankOfZero) {
  LowRankMatrix y = random_low_rank(8, 6, 4);
  std::ranges::fill(y.s, 0);
  const LowRankMatrix next = step(y, Values(48, 0), {0.1, 4});
  EXPECT_EQ(next.rank, 1U);
  EXPECT_EQ(norm(dense(next)), 0);
  EXPECT_NEAR(norm(next.u), 1, 1e-14);
  EXPECT_NEAR(norm(next.v), 1, 1e-14);
}

TEST_F(LowRankStep, RefusesWhatDoesNotGoTogether) {
  const LowRankMatrix y = random_low_rank(8, 6, 4);
  const Values a(48, 0), small(40, 0);
  EXPECT_THROW(low_rank_step(y, {small.data(), 8, 5}, {0.1, 4}, *device), Error);
  EXPECT_THROW(step(y, a, {0.1, 0}), Error);
  EXPECT_THROW(step(y, a, {0.1, 7}), Error);
  EXPECT_THROW(step(y, a, {1, 4}), Error);
  EXPECT_THROW(step(y, a, {-0.1, 4}), Error);
  LowRankMatrix broken = y;
  broken.v.pop_back();
  EXPECT_THROW(step(broken, a, {0.1, 4}), Error);
  Values infinite = a;
  infinite[5] = std::numeric_limits<double>::infinity();
  EXPECT_THROW(step(y, infinite, {0.1, 4}), Error);
}

}  // namespace
}  // namespace rankfold
