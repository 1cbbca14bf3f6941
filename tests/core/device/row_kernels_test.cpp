#include "core/device/row_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/device/dropout.h"

namespace rankfold {
namespace {

std::vector<float> range(float low, float high, std::size_t n) {
  std::vector<float> x(n);
  for (std::size_t i = 0; i < n; ++i)
    x[i] = low + (high - low) * static_cast<float>(i) / static_cast<float>(n - 1);
  return x;
}

/// Largest differences of value and slope from `expected` in double, relative to 1 + |x|.
template <class Function>
void expect_activation(HiddenActivation activation, Function expected) {
  const std::vector<float> x = range(-30, 30, 60001), zeros(x.size());
  std::vector<float> value(x.size()), slope(x.size());
  activate_row(activation, x.size(), x.data(), zeros.data(), value.data(), slope.data());
  double value_error = 0, slope_error = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double h = 1e-5, at = x[i], size = 1 + std::fabs(at);
    const double difference = (expected(at + h) - expected(at - h)) / (2 * h);
    value_error = std::max(value_error, std::fabs(value[i] - expected(at)) / size);
    slope_error = std::max(slope_error, std::fabs(slope[i] - difference) / size);
  }
  EXPECT_LT(value_error, 2e-7);
  EXPECT_LT(slope_error, 1e-6);
}

TEST(RowKernels, ComputeGeluWithTheErrorFunction) {
  expect_activation(HiddenActivation::gelu,
                    [](double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); });
}

TEST(RowKernels, ComputeGeluWithTheHyperbolicTangent) {
  expect_activation(HiddenActivation::gelu_tanh, [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
  });
}

TEST(RowKernels, ComputeSoftmaxOfLargeScores) {
  std::vector<float> x = {1000, 1001, -1000, 999.5f, 1001};
  softmax_row(x.size(), 0.5f, nullptr, x.data());
  const double sum = std::exp(-0.5) + 1 + 0 + std::exp(-0.75) + 1;
  EXPECT_NEAR(x[0], std::exp(-0.5) / sum, 1e-7);
  EXPECT_NEAR(x[1], 1 / sum, 1e-7);
  EXPECT_NEAR(x[2], 0, 1e-30);
  EXPECT_NEAR(x[3], std::exp(-0.75) / sum, 1e-7);
}

TEST(RowKernels, FormTheSameProbabilitiesAgainAndTheirGradient) {
  const std::vector<float> scores = range(-200, 300, 37);
  std::vector<float> keep(scores.size()), p = scores, again = scores, d = range(1, -1, 37);
  for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = i % 3 == 0 ? 0.0f : 1.5f;
  const float scale = 0.01f;
  const SoftmaxSums sums = softmax_row(p.size(), scale, keep.data(), p.data());
  const std::vector<float> d_dropped = d;
  softmax_backward_row(p.size(), scale, sums, keep.data(), again.data(), d.data());
  const auto loss = [&](std::vector<float> x) {
    softmax_row(x.size(), scale, keep.data(), x.data());
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += double{d_dropped[i]} * x[i];
    return sum;
  };
  for (std::size_t i = 0; i < p.size(); ++i) {
    EXPECT_FLOAT_EQ(again[i], p[i]);
    std::vector<float> above = scores, below = scores;
    above[i] += 10;
    below[i] -= 10;
    EXPECT_NEAR(d[i], (loss(above) - loss(below)) / 20, 1e-6) << i;
  }
}

TEST(RowKernels, PackDropoutFactorsIntoBits) {
  for (const std::size_t n : {1, 127, 128, 300}) {
    std::vector<float> keep(8 * kept_bytes(n)), unpacked(keep.size());
    const RandomStream stream(1, "bits");
    for (std::size_t i = 0; i < keep.size(); ++i) keep[i] = stream.bits(i) % 3 == 0 ? 0.0f : 1.25f;
    std::vector<unsigned char> bytes(kept_bytes(n));
    pack_kept(n, keep.data(), bytes.data());
    unpack_kept(n, 1.25f, bytes.data(), unpacked.data());
    EXPECT_EQ(unpacked, keep) << n;
  }
}

TEST(RowKernels, FindNumbersThatAreNotFinite) {
  std::vector<float> x(1000, std::numeric_limits<float>::max());
  EXPECT_TRUE(is_finite_row(x.size(), x.data()));
  for (const float bad : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
    x[997] = bad;
    EXPECT_FALSE(is_finite_row(x.size(), x.data()));
    EXPECT_TRUE(is_finite_row(997, x.data()));
  }
}

TEST(RowKernels, RefuseAnUnknownActivation) {
  EXPECT_THROW(parse_activation("mish", "config.json"), Error);
}

TEST(Dropout, KeepsTheRightShareWithTheRightScale) {
  const Dropout dropout(0.1, 42, "place", 3);
  const std::size_t width = 1001, rows = 400;
  std::vector<float> keep(Dropout::padded_width(width));
  double kept = 0, sum = 0;
  for (std::size_t row = 0; row < rows; ++row) {
    dropout.factors(row, width, keep.data());
    for (std::size_t i = 0; i < width; ++i) {
      EXPECT_TRUE(keep[i] == 0 || keep[i] == dropout.scale());
      kept += keep[i] > 0;
      sum += keep[i];
    }
  }
  const double count = static_cast<double>(width * rows);
  // Five standard deviations.
  EXPECT_NEAR(kept / count, 0.9, 5 * std::sqrt(0.09 / count));
  EXPECT_NEAR(sum / count, 1.0, 6 * std::sqrt(0.1 / count));
}

TEST(Dropout, DrawsTheSameAgainAndOtherwiseElsewhere) {
  const auto draw = [](std::uint64_t seed, const char* place, std::uint64_t step,
                       std::uint64_t row) {
    std::vector<float> keep(512);
    Dropout(0.5, seed, place, step).factors(row, 512, keep.data());
    return keep;
  };
  const std::vector<float> first = draw(1, "a", 2, 3);
  EXPECT_EQ(draw(1, "a", 2, 3), first);
  for (const auto& other :
       {draw(2, "a", 2, 3), draw(1, "b", 2, 3), draw(1, "a", 3, 3), draw(1, "a", 2, 4)})
    EXPECT_NE(other, first);
}

TEST(Dropout, FromARowOnIsThatOfLaterRows) {
  const Dropout dropout(0.5, 1, "a", 2);
  std::vector<float> later(512), direct(512);
  dropout.from_row(2).from_row(1).factors(4, 512, later.data());
  dropout.factors(7, 512, direct.data());
  EXPECT_EQ(later, direct);
}

TEST(Dropout, OfNothingIsOneAndBeyondOneIsRefused) {
  std::vector<float> keep(16, 5.0f);
  Dropout().factors(0, 9, keep.data());
  EXPECT_EQ(std::accumulate(keep.begin(), keep.begin() + 9, 0.0f), 9.0f);
  EXPECT_FALSE(Dropout(0.0, 1, "a", 1).active());
  EXPECT_THROW(Dropout(1.0, 1, "a", 1), Error);
  EXPECT_THROW(Dropout(-0.1, 1, "a", 1), Error);
}

TEST(RowKernels, MoveNumbersByAnIndex) {
  const std::vector<float> from = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  const std::vector<std::uint32_t> index = {5, 5, 6};
  std::vector<float> row = {10, 20, 30}, strided = row;
  add_indexed_row(3, from.data(), 0, index.data(), 4, row.data());
  EXPECT_EQ(row, (std::vector<float>{12, 22, 33}));
  add_indexed_row(3, from.data(), 3, index.data(), 4, strided.data());
  EXPECT_EQ(strided, (std::vector<float>{12, 25, 39}));
  std::vector<float> to(10);
  add_to_indexed_row(3, strided.data(), index.data(), 4, 0, to.data());
  EXPECT_EQ(to, (std::vector<float>{0, 37, 39, 0, 0, 0, 0, 0, 0, 0}));
  add_to_indexed_row(3, strided.data(), index.data(), 4, 3, to.data());
  EXPECT_EQ(to, (std::vector<float>{0, 49, 39, 0, 25, 0, 0, 0, 39, 0}));
}

}  // namespace
}  // namespace rankfold
