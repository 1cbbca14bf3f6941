#include "core/linalg/linear_algebra.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/random.h"

namespace rankfold {
namespace {

class LowRank : public testing::Test {
 protected:
  /// B[rows, rank] A[rank, columns] + noise N, normal entries.
  std::vector<double> product(std::size_t rank, double noise) const {
    std::vector<double> b(rows * rank), a(rank * columns), update(rows * columns);
    RandomStream(1, "b").fill_normal(std::span(b), 0.0, 1.0);
    RandomStream(1, "a").fill_normal(std::span(a), 0.0, 1.0);
    RandomStream(1, "noise").fill_normal(std::span(update), 0.0, noise);
    device->gemm(false, false, rows, columns, rank, 1.0, b.data(), rank, a.data(), columns, 1.0,
                 update.data(), columns);
    return update;
  }
  Svd decompose(const std::vector<double>& a, double tolerance) const {
    return decompose_low_rank({a.data(), rows, columns}, tolerance, *device);
  }
  /// |A - U diag(s) V| / |A|.
  double error(const std::vector<double>& a, const Svd& svd) const {
    const std::size_t count = svd.s.size();
    double residual = 0, whole = 0;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        double value = 0;
        for (std::size_t k = 0; k < count; ++k)
          value += svd.u[i * count + k] * svd.s[k] * svd.v[k * columns + j];
        residual += std::pow(a[i * columns + j] - value, 2);
        whole += std::pow(a[i * columns + j], 2);
      }
    return std::sqrt(residual / whole);
  }

  std::size_t rows = 210, columns = 170;
  std::shared_ptr<const Device> device = make_cpu_device();
};

TEST_F(LowRank, HasTheLeadingPartsOfTheWholeDecomposition) {
  for (const std::size_t rank : {1U, 5U, 40U}) {
    const std::vector<double> a = product(rank, 0);
    const Svd svd = decompose(a, 1e-12), full = decompose_svd({a.data(), rows, columns});
    EXPECT_EQ(svd.s.size(), rank <= 32 ? 32U : 64U);
    EXPECT_LE(error(a, svd), 1e-12);
    for (std::size_t k = 0; k < rank; ++k) EXPECT_NEAR(svd.s[k], full.s[k], 1e-11 * full.s[0]);
  }
}

TEST_F(LowRank, IsWholeWhereTheRankIsNotLow) {
  const std::vector<double> a = product(3, 1e-3);
  EXPECT_EQ(decompose(a, 1e-6).s, decompose_svd({a.data(), rows, columns}).s);
  EXPECT_EQ(decompose(a, 0.1).s.size(), 32U);
  EXPECT_LE(error(a, decompose(a, 0.1)), 0.1);
}

TEST_F(LowRank, RefusesAToleranceThatIsNone) {
  const std::vector<double> a = product(1, 0);
  for (const double tolerance : {0.0, 1.0, -1.0, std::nan("")})
    EXPECT_THROW(decompose(a, tolerance), Error);
}

/// A matrix of normal numbers, its rows by rows.
struct Drawn {
  std::size_t rows, columns;
  std::vector<double> values;

  Drawn(std::size_t m, std::size_t n) : rows(m), columns(n), values(m * n) {
    RandomStream(3, fmt::format("{}x{}", m, n)).fill_normal(std::span(values), 0.0, 1.0);
  }
  MatrixView<const double> view() const { return {values.data(), rows, columns}; }
  double at(std::size_t i, std::size_t j) const { return values[i * columns + j]; }
};

const std::pair<std::size_t, std::size_t> shapes[] = {{1, 1}, {5, 1},  {1, 4},
                                                      {7, 7}, {40, 9}, {9, 40}};

TEST(LinearAlgebra, DecomposesIntoSingularParts) {
  for (const auto& [m, n] : shapes) {
    const Drawn a(m, n);
    const Svd svd = decompose_svd(a.view());
    const std::size_t k = std::min(m, n);
    ASSERT_EQ(svd.s.size(), k);
    EXPECT_TRUE(std::ranges::is_sorted(svd.s, std::greater<>()));
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double value = 0;
        for (std::size_t p = 0; p < k; ++p) value += svd.u[i * k + p] * svd.s[p] * svd.v[p * n + j];
        EXPECT_NEAR(value, a.at(i, j), 1e-13);
      }
    for (std::size_t p = 0; p < k; ++p)
      for (std::size_t q = 0; q < k; ++q) {
        double u = 0, v = 0;
        for (std::size_t i = 0; i < m; ++i) u += svd.u[i * k + p] * svd.u[i * k + q];
        for (std::size_t j = 0; j < n; ++j) v += svd.v[p * n + j] * svd.v[q * n + j];
        EXPECT_NEAR(u, p == q, 1e-13);
        EXPECT_NEAR(v, p == q, 1e-13);
      }
    for (std::size_t p = 0; p < k; ++p) {
      const std::span row(svd.v.data() + p * n, n);
      EXPECT_GT(*std::ranges::max_element(row, {}, [](double x) { return std::abs(x); }), 0);
    }
  }
  EXPECT_TRUE(decompose_svd(Drawn(0, 3).view()).s.empty());
}

TEST(LinearAlgebra, ReadsMatricesThatStandInLargerOnes) {
  const Drawn a(6, 5);
  std::vector<double> inner;
  for (std::size_t i = 0; i < 6; ++i)
    inner.insert(inner.end(), a.values.begin() + static_cast<std::ptrdiff_t>(i * 5),
                 a.values.begin() + static_cast<std::ptrdiff_t>(i * 5 + 3));
  const MatrixView<const double> part{a.values.data(), 6, 3, 5}, alone{inner.data(), 6, 3};
  EXPECT_EQ(decompose_svd(part).v, decompose_svd(alone).v);
  EXPECT_EQ(orthonormal_columns(part), orthonormal_columns(alone));
}

TEST(LinearAlgebra, OrthonormalColumnsSpanTheMatrixWithAPositiveDiagonal) {
  for (const auto& [m, n] : shapes) {
    const Drawn a(m, n);
    if (m < n) {
      EXPECT_THROW(orthonormal_columns(a.view()), Error);
      continue;
    }
    const std::vector<double> q = orthonormal_columns(a.view());
    // R = Q^T A is upper triangular and Q R is A.
    std::vector<double> r(n * n);
    for (std::size_t p = 0; p < n; ++p)
      for (std::size_t j = 0; j < n; ++j)
        for (std::size_t i = 0; i < m; ++i) r[p * n + j] += q[i * n + p] * a.at(i, j);
    for (std::size_t p = 0; p < n; ++p) {
      EXPECT_GT(r[p * n + p], 0);
      for (std::size_t j = 0; j < p; ++j) EXPECT_NEAR(r[p * n + j], 0, 1e-13);
    }
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double value = 0;
        for (std::size_t p = 0; p < n; ++p) value += q[i * n + p] * r[p * n + j];
        EXPECT_NEAR(value, a.at(i, j), 1e-13);
      }
  }
}

TEST(LinearAlgebra, SymmetricPartsAreEigenvectorsWithFallingValues) {
  for (const std::size_t n : {1U, 2U, 30U}) {
    Drawn a(n, n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < i; ++j) a.values[i * n + j] = a.values[j * n + i];
    const SymmetricParts parts = decompose_symmetric(a.view());
    EXPECT_TRUE(std::ranges::is_sorted(parts.values, std::greater<>()));
    for (std::size_t j = 0; j < n; ++j)
      for (std::size_t i = 0; i < n; ++i) {
        double product = 0;
        for (std::size_t p = 0; p < n; ++p) product += a.at(i, p) * parts.vectors[p * n + j];
        EXPECT_NEAR(product, parts.values[j] * parts.vectors[i * n + j], 1e-12);
      }
    // Only the lower triangle is read.
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = i + 1; j < n; ++j) a.values[i * n + j] = 7;
    const std::vector<double> rising = symmetric_eigenvalues(a.values, n);
    for (std::size_t j = 0; j < n; ++j) EXPECT_NEAR(rising[n - 1 - j], parts.values[j], 1e-12);
  }
}

TEST(LinearAlgebra, UpperRootAndSolversUndoProducts) {
  for (const std::size_t n : {1U, 2U, 20U}) {
    const Drawn b(n + 5, n), x(n, 3), start(3, n);
    std::vector<double> gram(n * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j)
        for (std::size_t k = 0; k < n + 5; ++k) gram[i * n + j] += b.at(k, i) * b.at(k, j);
    const std::vector<double> root = upper_root(gram, n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double product = 0;
        for (std::size_t k = 0; k < n; ++k) product += root[k * n + i] * root[k * n + j];
        EXPECT_NEAR(product, gram[i * n + j], 1e-12);
        if (j < i) {
          EXPECT_EQ(root[i * n + j], 0);
        }
      }
    std::vector<double> right(n * 3), rows(3 * n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t j = 0; j < n; ++j) {
          right[i * 3 + c] += root[i * n + j] * x.at(j, c);
          rows[c * n + i] += gram[i * n + j] * x.at(j, c);
        }
    solve_upper(root, n, right.data(), 3);
    solve_positive(gram, n, 1e-15, start.values.data(), rows.data(), 3);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t c = 0; c < 3; ++c) {
        EXPECT_NEAR(right[i * 3 + c], x.at(i, c), 1e-10);
        EXPECT_NEAR(rows[c * n + i], x.at(i, c), 1e-9);
      }
  }
  EXPECT_THROW(upper_root({1, 2, 2, 1}, 2), Error);
}

TEST(LinearAlgebra, FindsTheRankOfGramMatricesOfEverySize) {
  for (const std::size_t n : {20U, 620U}) {  // by eigenvalues, by pivots
    const std::size_t rank = n / 2;
    const Drawn j(rank, n);
    std::vector<double> gram(n * n);
    make_cpu_device()->gemm(true, false, n, n, rank, 1.0, j.values.data(), n, j.values.data(), n,
                            0.0, gram.data(), n);
    EXPECT_EQ(rank_of_gram(gram, n), rank);
  }
  EXPECT_EQ(rank_of_gram({}, 0), 0U);
}

TEST(LinearAlgebra, RefusesNumbersThatAreNotFinite) {
  Drawn a(4, 4);
  a.values[5] = std::nan("");
  EXPECT_THROW(decompose_svd(a.view()), Error);
  EXPECT_THROW(decompose_symmetric(a.view()), Error);
  EXPECT_THROW(upper_root(a.values, 4), Error);
}

}  // namespace
}  // namespace rankfold
