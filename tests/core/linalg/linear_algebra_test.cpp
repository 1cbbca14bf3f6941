#include "core/linalg/linear_algebra.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

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

}  // namespace
}  // namespace rankfold
