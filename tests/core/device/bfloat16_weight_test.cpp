#include "core/device/bfloat16_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

/// Rounds by the definition: the nearest number with 8 significant bits, ties to the even one.
double rounded(float x) {
  int exponent = 0;
  const double mantissa = std::frexp(static_cast<double>(x), &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(mantissa, 8)), exponent - 8);
}

/// A matrix inside a wider one, whose other numbers are sentinels.
struct Matrix {
  static constexpr float sentinel = -77.0f;

  Matrix(std::size_t rows, std::size_t columns, std::size_t stride, const std::string& purpose)
      : values(rows * stride + 3, sentinel), view(values.data() + 3, rows, columns, stride) {
    const RandomStream stream(1, purpose);
    std::vector<float> row(columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        view.row(i)[j] = static_cast<float>(stream.uniform(i * columns + j) - 0.4);
  }
  bool keeps_its_surroundings() const {
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool outside = i < 3 || (i - 3) % view.stride >= view.columns;
      if (outside && values[i] != sentinel) return false;
    }
    return true;
  }

  std::vector<float> values;
  MatrixView<float> view;
};

class Bfloat16 : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty())
      GTEST_SKIP() << obstacle;
    omp_set_num_threads(2);
  }
  void TearDown() override { omp_set_num_threads(threads_); }

  /// y against start + x w^T, w taken by its strides, all in float64 from rounded operands. The
  /// error is relative to the sum of the magnitudes.
  static double error(MatrixView<const float> x, const float* w, std::size_t row_stride,
                      std::size_t column_stride, MatrixView<const float> start,
                      MatrixView<const float> y) {
    const std::size_t inner = x.columns;
    std::vector<double> weight, row(inner);
    for (std::size_t j = 0; j < y.columns; ++j)
      for (std::size_t k = 0; k < inner; ++k)
        weight.push_back(rounded(w[j * row_stride + k * column_stride]));
    double worst = 0;
    for (std::size_t i = 0; i < x.rows; ++i) {
      for (std::size_t k = 0; k < inner; ++k) row[k] = rounded(x.row(i)[k]);
      for (std::size_t j = 0; j < y.columns; ++j) {
        double sum = start.row(i)[j], magnitude = std::fabs(sum);
        for (std::size_t k = 0; k < inner; ++k) {
          sum += row[k] * weight[j * inner + k];
          magnitude += std::fabs(row[k] * weight[j * inner + k]);
        }
        worst = std::max(worst, std::fabs(y.row(i)[j] - sum) / magnitude);
      }
    }
    return worst;
  }
  static Matrix zeros(std::size_t rows, std::size_t columns) {
    Matrix result(rows, columns, columns, "zeros");
    std::fill(result.values.begin(), result.values.end(), 0.0f);
    return result;
  }

 private:
  const int threads_ = omp_get_max_threads();
};

TEST(Bfloat16Obstacle, IsWhatTheConstructorThrows) {
  const std::string obstacle = bfloat16_obstacle();
  const std::vector<float> weight(12, 1.0f);
  if (obstacle.empty()) {
    EXPECT_NO_THROW(Bfloat16Weight(weight.data(), 4, 3));
    return;
  }
  EXPECT_THAT(obstacle, testing::AnyOf("this CPU has neither AVX512_BF16 nor AMX",
                                       "this build has no oneDNN"));
  try {
    Bfloat16Weight(weight.data(), 4, 3);
    ADD_FAILURE() << "nothing thrown";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(), HasSubstr(obstacle));
  }
}

TEST_F(Bfloat16, AgreesWithFloat64OnRoundedOperands) {
  struct Shape {
    std::size_t out, in;
  };
  for (const auto [out, in] : {Shape{48, 96}, Shape{37, 33}, Shape{1, 5}, Shape{192, 64}}) {
    const Matrix weight(out, in, in, "weight");
    const Bfloat16Weight product(weight.view.data, out, in);
    for (const std::size_t tokens : {1, 3, 64, 257, 1000})
      for (const std::size_t padding : {0, 5}) {
        SCOPED_TRACE(testing::Message()
                     << out << "x" << in << ", " << tokens << " tokens, padding " << padding);
        const Matrix x(tokens, in, in + padding, "x"), dy(tokens, out, out + padding, "dy");
        const Matrix bias(1, out, out, "bias");
        const Matrix no_y = zeros(tokens, out), no_dx = zeros(tokens, in);
        Matrix y(tokens, out, out + padding, "y"), dx(tokens, in, in + padding, "dx");
        const Matrix before = dx;

        product.forward(x.view, nullptr, y.view);
        EXPECT_LT(error(x.view, weight.view.data, in, 1, no_y.view, y.view), 1e-6);
        EXPECT_TRUE(y.keeps_its_surroundings());
        product.forward(x.view, bias.view.data, y.view);
        EXPECT_LT(error(x.view, weight.view.data, in, 1, {bias.view.data, tokens, out, 0}, y.view),
                  1e-6);
        EXPECT_TRUE(y.keeps_its_surroundings());

        product.backward(dy.view, dx.view, true);
        EXPECT_LT(error(dy.view, weight.view.data, 1, in,
                        {before.values.data() + 3, tokens, in, in + padding}, dx.view),
                  1e-6);
        product.backward(dy.view, dx.view, false);
        EXPECT_LT(error(dy.view, weight.view.data, 1, in, no_dx.view, dx.view), 1e-6);
        EXPECT_TRUE(dx.keeps_its_surroundings());
      }
  }
}

TEST_F(Bfloat16, RoundsToTheNearestAndTiesToEven) {
  const float one = 1.0f;
  const Bfloat16Weight identity(&one, 1, 1);
  // Between neighbours 2^-7 apart: below the middle, the two middles, above; and a carry.
  const std::vector<float> x{1.0f + 0x1p-9f, 1.0f + 0x1p-8f,  1.0f + 0x3p-8f,
                             1.0f + 0x3p-9f, -1.0f - 0x1p-8f, 2.0f - 0x1p-10f};
  const std::vector<float> expected{1.0f, 1.0f, 1.0f + 0x1p-6f, 1.0f + 0x1p-7f, -1.0f, 2.0f};
  std::vector<float> y(x.size());
  identity.forward({x.data(), x.size(), 1}, nullptr, {y.data(), y.size(), 1});
  EXPECT_EQ(y, expected);
}

TEST_F(Bfloat16, CarriesWhatIsNotFinite) {
  const float one = 1.0f;
  const Bfloat16Weight identity(&one, 1, 1);
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{infinity, -infinity, std::numeric_limits<float>::quiet_NaN(),
                             std::bit_cast<float>(0x7FFFFFFFu), std::bit_cast<float>(0x7F800001u)};
  std::vector<float> y(x.size());
  identity.forward({x.data(), x.size(), 1}, nullptr, {y.data(), y.size(), 1});
  EXPECT_EQ(y[0], infinity);
  EXPECT_EQ(y[1], -infinity);
  for (std::size_t i = 2; i < y.size(); ++i) EXPECT_TRUE(std::isnan(y[i])) << i;
}

TEST_F(Bfloat16, GivesTheSameBitsAgainAndInsideAParallelRegion) {
  constexpr std::size_t tokens = 150, out = 40, in = 24;
  const Matrix weight(out, in, in, "weight"), x(tokens, in, in, "x");
  Matrix first(tokens, out, out, "y");
  const Bfloat16Weight product(weight.view.data, out, in);
  product.forward(x.view, nullptr, first.view);
  std::vector<Matrix> others(4, Matrix(tokens, out, out, "others"));
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < others.size(); ++i)
    product.forward(x.view, nullptr, {others[i].values.data() + 3, tokens, out});
  for (const Matrix& other : others) EXPECT_EQ(other.values, first.values);
  omp_set_num_threads(1);
  Matrix alone(tokens, out, out, "y");
  product.forward(x.view, nullptr, alone.view);
  EXPECT_EQ(alone.values, first.values);
}

TEST_F(Bfloat16, LeavesAnEmptyBatchAlone) {
  const std::vector<float> weight(6, 1.0f);
  const Bfloat16Weight product(weight.data(), 2, 3);
  EXPECT_NO_THROW(product.forward({nullptr, 0, 3}, nullptr, {nullptr, 0, 2}));
  EXPECT_NO_THROW(product.backward({nullptr, 0, 2}, {nullptr, 0, 3}, true));
}

TEST_F(Bfloat16, NamesShapesThatDoNotFit) {
  std::vector<float> numbers(12, 1.0f);
  const Bfloat16Weight product(numbers.data(), 2, 3);
  try {
    product.forward({numbers.data(), 2, 2}, nullptr, {numbers.data(), 2, 2});
    ADD_FAILURE() << "nothing thrown";
  } catch (const Error& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("X is 2x2"));
    EXPECT_THAT(failure.what(), HasSubstr("expected 2x3"));
  }
  EXPECT_THROW(product.backward({numbers.data(), 2, 2}, {numbers.data(), 3, 3}, false), Error);
  EXPECT_THROW(Bfloat16Weight(numbers.data(), 0, 3), Error);
}

}  // namespace
}  // namespace rankfold
