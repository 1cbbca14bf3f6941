#include "core/device/matrix_product.h"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

#include "core/base/random.h"
#include "core/device/device.h"
#include "sanitized.h"

namespace rankfold {
namespace {

constexpr float nan = std::numeric_limits<float>::quiet_NaN();
constexpr float guard = 12345.0f;

struct Layout {
  bool transpose_a = false, transpose_b = false;
  std::size_t m = 1, n = 1, k = 1;
  float alpha = 1, beta = 0;
  std::size_t padding = 0, offset = 0;  ///< floats after each row, floats before the first
};

/// Rows ending exactly where their memory ends, NaN between them.
struct Operand {
  std::vector<float> memory;
  std::size_t rows, columns, stride, offset;

  Operand(std::size_t row_count, std::size_t column_count, const Layout& layout, float between)
      : rows(row_count),
        columns(column_count),
        stride(column_count + layout.padding),
        offset(layout.offset) {
    memory.assign(offset + (rows - 1) * stride + columns, between);
  }
  void fill(std::string_view purpose) {
    std::vector<float> values(rows * columns);
    RandomStream(1, purpose).fill_normal(std::span(values), 0.0, 1.0);
    for (std::size_t i = 0; i < rows; ++i)
      std::copy_n(values.begin() + i * columns, columns, memory.begin() + offset + i * stride);
  }
  float* data() { return memory.data() + offset; }
  float at(std::size_t i, std::size_t j) const { return memory[offset + i * stride + j]; }
  bool holds(std::size_t index) const {
    return index >= offset && (index - offset) % stride < columns;
  }
};

struct Product {
  Layout layout;
  Operand a, b, start;

  explicit Product(const Layout& l)
      : layout(l),
        a(l.transpose_a ? l.k : l.m, l.transpose_a ? l.m : l.k, l, nan),
        b(l.transpose_b ? l.n : l.k, l.transpose_b ? l.k : l.n, l, nan),
        start(l.m, l.n, l, guard) {
    a.fill("a");
    b.fill("b");
    start.fill("c");
    if (l.beta == 0)
      for (std::size_t i = 0; i < l.m; ++i) std::fill_n(start.data() + i * start.stride, l.n, nan);
  }
  ProductArguments arguments(Operand& c) {
    return {layout.transpose_a, layout.transpose_b, layout.m, layout.n, layout.k,
            layout.alpha,       a.data(),           a.stride, b.data(), b.stride,
            layout.beta,        c.data(),           c.stride};
  }
  Operand multiply(VectorExtension vectors) {
    Operand c = start;
    EXPECT_TRUE(multiply_matrices(arguments(c), vectors));
    return c;
  }
  double left(std::size_t i, std::size_t p) const {
    return layout.transpose_a ? a.at(p, i) : a.at(i, p);
  }
  double right(std::size_t p, std::size_t j) const {
    return layout.transpose_b ? b.at(j, p) : b.at(p, j);
  }
  /// What rounding may cost where the terms add up to `sum` in absolute values.
  double tolerance(double sum) const {
    return std::numeric_limits<float>::epsilon() * (3 + std::sqrt(static_cast<double>(layout.k))) *
           sum;
  }
  /// By a loop nest in double precision.
  void expect(const Operand& c) const {
    for (std::size_t i = 0; i < layout.m; ++i)
      for (std::size_t j = 0; j < layout.n; ++j) {
        const double old = layout.beta == 0 ? 0 : layout.beta * start.at(i, j);
        double sum = old, absolute = std::abs(old);
        for (std::size_t p = 0; p < layout.k; ++p) {
          const double term = layout.alpha * left(i, p) * right(p, j);
          sum += term;
          absolute += std::abs(term);
        }
        ASSERT_NEAR(c.at(i, j), sum, tolerance(absolute)) << describe() << " at " << i << "," << j;
      }
    expect_guards(c);
  }
  void expect_guards(const Operand& c) const {
    for (std::size_t index = 0; index < c.memory.size(); ++index)
      ASSERT_TRUE(c.holds(index) || c.memory[index] == guard) << describe() << " beside C";
  }
  std::string describe() const {
    return std::string(layout.transpose_a ? "T" : "N") + (layout.transpose_b ? "T" : "N") + " " +
           std::to_string(layout.m) + " x " + std::to_string(layout.n) + " x " +
           std::to_string(layout.k) + ", alpha " + std::to_string(layout.alpha) + ", beta " +
           std::to_string(layout.beta) + ", padding " + std::to_string(layout.padding) +
           ", offset " + std::to_string(layout.offset);
  }
};

constexpr float factors[] = {1, 0, -0.75f};

/// Transpositions, factors, strides and offsets in turns that meet in all combinations.
Layout vary(std::size_t m, std::size_t n, std::size_t k, std::size_t turn) {
  return {.transpose_a = turn % 2 == 1,
          .transpose_b = turn / 2 % 2 == 1,
          .m = m,
          .n = n,
          .k = k,
          .alpha = factors[turn / 4 % 7 % 3],
          .beta = factors[turn / 4 % 3],
          .padding = turn / 4 % 5,
          .offset = turn / 4 % 4};
}

class MatrixProduct : public testing::TestWithParam<VectorExtension> {
 protected:
  void SetUp() override {
    if (GetParam() > widest_vectors()) GTEST_SKIP() << "this CPU lacks the vectors";
    threads_ = omp_get_max_threads();
  }
  void TearDown() override {
    if (threads_ > 0) omp_set_num_threads(threads_);
  }

 private:
  int threads_ = 0;
};

TEST_P(MatrixProduct, AgreesWithTheLoopNestForEverySmallShape) {
  std::size_t turn = 0;
  for (std::size_t m = 1; m <= 20; ++m)
    for (std::size_t n = 1; n <= 20; ++n)
      for (std::size_t k = 1; k <= 20; ++k, turn += 4)
        for (std::size_t transposed = 0; transposed < 4; ++transposed) {
          if (!chosen(turn + transposed)) continue;
          Product product(vary(m, n, k, turn + transposed));
          product.expect(product.multiply(GetParam()));
          if (HasFatalFailure()) return;
        }
}

TEST_P(MatrixProduct, AgreesWithTheLoopNestForFactorsStridesAndOffsetsInAllCombinations) {
  std::size_t turn = 0;
  for (std::size_t transposed = 0; transposed < 4; ++transposed)
    for (const float alpha : factors)
      for (const float beta : factors)
        for (const std::size_t padding : {0, 3, 16})
          for (const std::size_t offset : {0, 1, 2, 3})
            for (const auto [m, n, k] :
                 {std::array<std::size_t, 3>{7, 50, 21}, {50, 3, 70}, {33, 9, 300}, {9, 33, 5}}) {
              if (!chosen(turn++)) continue;
              Product product({transposed % 2 == 1, transposed / 2 == 1, m, n, k, alpha, beta,
                               padding, offset});
              product.expect(product.multiply(GetParam()));
              if (HasFatalFailure()) return;
            }
}

TEST_P(MatrixProduct, AgreesWithOpenBlasInDoublePrecisionForSampledShapesAndLongSides) {
  const auto device = make_cpu_device();
  std::vector<std::array<std::size_t, 3>> shapes;
  const RandomStream random(1, "shapes");
  for (std::uint64_t i = 0; i < 60; ++i) {
    const auto bits = random.block(i);
    shapes.push_back({1 + bits[0] % 70, 1 + bits[1] % 70, 1 + bits[2] % 70});
  }
  for (const auto& [m, n, k] :
       {std::array<std::size_t, 3>{97, 65, 17}, {200, 150, 1100}, {530, 70, 515}, {100, 300, 64}})
    shapes.push_back({m, n, k});
  for (const std::size_t side : {127, 128, 129, 192, 257, 1023, 1024, 1025, 1030})
    for (const std::size_t thin : {1, 2, 5, 8, 17, 64}) {
      shapes.push_back({side, thin, 65});
      shapes.push_back({65, thin, side});
      shapes.push_back({thin, side, 31});
      shapes.push_back({thin, 20, side});
    }
  std::size_t turn = 0;
  for (const auto [m, n, k] : shapes)
    for (std::size_t transposed = 0; transposed < 4; ++transposed, ++turn) {
      if (!chosen(turn)) continue;
      Product product(vary(m, n, k, 4 * turn + transposed));
      const Operand c = product.multiply(GetParam());
      std::vector<double> a(m * k), b(k * n), expected(m * n), absolute(m * n);
      for (const bool positive : {false, true}) {
        const auto value = [&](double x) { return positive ? std::abs(x) : x; };
        std::vector<double>& target = positive ? absolute : expected;
        for (std::size_t i = 0; i < m; ++i)
          for (std::size_t p = 0; p < k; ++p) a[i * k + p] = value(product.left(i, p));
        for (std::size_t p = 0; p < k; ++p)
          for (std::size_t j = 0; j < n; ++j) b[p * n + j] = value(product.right(p, j));
        if (product.layout.beta != 0)
          for (std::size_t i = 0; i < m; ++i)
            for (std::size_t j = 0; j < n; ++j) target[i * n + j] = value(product.start.at(i, j));
        device->gemm(false, false, m, n, k, value(product.layout.alpha), a.data(), k, b.data(), n,
                     value(product.layout.beta), target.data(), n);
      }
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
          ASSERT_NEAR(c.at(i, j), expected[i * n + j], product.tolerance(absolute[i * n + j]))
              << product.describe() << " at " << i << "," << j;
      product.expect_guards(c);
    }
}

TEST_P(MatrixProduct, GivesTheSameNumbersOnOneThreadOnTwoAndInsideAParallelRegion) {
  std::size_t turn = 0;
  for (std::size_t transposed = 0; transposed < 4; ++transposed)
    for (const auto [m, n, k] : {std::array<std::size_t, 3>{700, 8, 300},
                                 {8, 700, 300},
                                 {700, 3, 1030},
                                 {61, 67, 513},
                                 {200, 150, 1100},
                                 {700, 200, 70},
                                 {300, 500, 3},
                                 {1030, 65, 31},
                                 {1, 700, 300},
                                 {700, 1, 300},
                                 {3, 1030, 200}}) {
      if (!chosen(turn++)) continue;
      Product product({transposed % 2 == 1, transposed / 2 == 1, m, n, k, 0.5f, 1, 1, 1});
      omp_set_num_threads(1);
      const Operand alone = product.multiply(GetParam());
      omp_set_num_threads(2);
      EXPECT_EQ(product.multiply(GetParam()).memory, alone.memory) << product.describe();
      std::vector<Operand> inside(2, product.start);
#pragma omp parallel for num_threads(2)
      for (int thread = 0; thread < 2; ++thread)
        multiply_matrices(product.arguments(inside[thread]), GetParam());
      for (const Operand& c : inside) EXPECT_EQ(c.memory, alone.memory) << product.describe();
    }
}

TEST_P(MatrixProduct, OverwritesOrScalesWhereNothingIsContracted) {
  for (const float beta : factors)
    for (const bool transpose_b : {false, true}) {
      Product product({false, transpose_b, 5, 30, 4, 0, beta, 2, 1});
      product.expect(product.multiply(GetParam()));
      Operand c = product.start;
      ProductArguments arguments = product.arguments(c);
      arguments.alpha = 1;
      arguments.k = 0;
      ASSERT_TRUE(multiply_matrices(arguments, GetParam()));
      product.expect(c);
    }
}

INSTANTIATE_TEST_SUITE_P(Extensions, MatrixProduct,
                         testing::Values(VectorExtension::avx2, VectorExtension::avx512),
                         [](const auto& extension) {
                           return extension.param == VectorExtension::avx2 ? "avx2" : "avx512";
                         });

TEST(MatrixProductWithoutVectors, IsLeftToOpenBlas) {
  EXPECT_FALSE(multiply_matrices({.m = 1, .n = 1, .k = 1}, VectorExtension::none));
}

TEST(MatrixProductOfTheDevice, AgreesWithTheLoopNest) {
  for (std::size_t transposed = 0; transposed < 4; ++transposed) {
    Product product({transposed % 2 == 1, transposed / 2 == 1, 300, 8, 200, 0.5f, 0, 1, 2});
    Operand c = product.start;
    const ProductArguments p = product.arguments(c);
    make_cpu_device()->gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, p.a, p.stride_a,
                            p.b, p.stride_b, p.beta, p.c, p.stride_c);
    product.expect(c);
  }
}

}  // namespace
}  // namespace rankfold
