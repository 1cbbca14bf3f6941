#include "experiments/models/blocks/relative_embedding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/double_reference.h"

namespace rankfold {
namespace {

using reference::normal;

TEST(PositionBuckets, AreDistancesWithinTheSpanWhereNoneAreShared) {
  const PositionBuckets buckets{.span = 3};
  const std::vector<std::size_t> expected = {0, 0, 1, 2, 3, 4, 5, 5, 5};
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_EQ(buckets.row(static_cast<std::int64_t>(i) - 4), expected[i]) << i;
}

TEST(PositionBuckets, GrowWiderWithTheDistance) {
  // make_log_bucket_position of 8 buckets and 40 positions: by its formula, in double.
  const PositionBuckets buckets{.span = 8, .buckets = 8, .farthest = 40};
  for (std::int64_t distance = -60; distance <= 60; ++distance) {
    double bucket = static_cast<double>(distance);
    const double far = std::abs(bucket);
    if (far > 4)
      bucket = std::copysign(std::ceil(std::log(far / 4) / std::log(39.0 / 4) * 3) + 4, bucket);
    const double row = std::clamp(bucket + 8, 0.0, 15.0);
    EXPECT_EQ(buckets.row(distance), static_cast<std::size_t>(row)) << distance;
  }
  EXPECT_EQ(buckets.row(4), 12u);
  EXPECT_EQ(buckets.row(5), 13u);
  EXPECT_EQ(buckets.row(39), 15u);
  EXPECT_EQ(buckets.row(-39), 1u);
}

struct Example {
  static constexpr std::size_t hidden = 6, span = 4;
  std::vector<float> table = normal(2 * span * hidden, "table"), weight = normal(hidden, "weight"),
                     shift = normal(hidden, "shift"), weight_gradient = std::vector<float>(hidden),
                     shift_gradient = std::vector<float>(hidden);
  std::vector<std::size_t> starts = {0, 2, 5, 6};
  std::shared_ptr<const Device> device = make_cpu_device();
  Arena arena{device};
  RelativeRows rows;
  EncoderPass pass;

  RelativeEmbedding embedding(bool normalises, bool trains) {
    std::optional<LayerNorm> norm;
    if (normalises) norm = LayerNorm{weight.data(), shift.data()};
    if (norm) norm->epsilon = 0.25f;
    if (trains) norm->weight_gradient = weight_gradient.data();
    if (trains) norm->shift_gradient = shift_gradient.data();
    return {table.data(), {.span = span}, hidden, norm};
  }
};

TEST(RelativeEmbedding, HasTheRowsThatTheLongestSequenceMeets) {
  Example example;
  example.pass.starts = example.starts;
  example.embedding(false, false).start(example.pass, example.rows, example.arena);
  // Distances query - key of 2 to -2.
  EXPECT_THAT(example.rows.of_table, testing::ElementsAre(6, 5, 4, 3, 2));
  EXPECT_THAT(example.pass.relative.rows, testing::ElementsAre(0, 1, 2, 3, 4));
  const MatrixView<float>& found = example.pass.relative.embedding;
  ASSERT_EQ(found.rows, 5u);
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t c = 0; c < Example::hidden; ++c)
      EXPECT_EQ(found.row(i)[c], example.table[(6 - i) * Example::hidden + c]);
  EXPECT_EQ(example.pass.relative.gradient.data, nullptr);

  // Beyond the span the last rows serve.
  example.starts = {0, 7};
  example.pass.starts = example.starts;
  example.embedding(false, false).start(example.pass, example.rows, example.arena);
  EXPECT_THAT(example.rows.of_table, testing::ElementsAre(7, 6, 5, 4, 3, 2, 1, 0));
  // Distances query - key of 6 to -6: 6, 5, 4 and 3 have row 7, -4, -5 and -6 row 0.
  const std::vector<std::uint32_t> expected = {0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 7, 7};
  EXPECT_TRUE(std::ranges::equal(example.pass.relative.rows, expected));
}

TEST(RelativeEmbedding, NormalisesAndAddsTheGradientsOfItsNorm) {
  Example example;
  example.pass.starts = example.starts;
  example.pass.training = true;
  const RelativeEmbedding embedding = example.embedding(true, true);
  embedding.start(example.pass, example.rows, example.arena);
  reference::Rows rows(5, Example::hidden);
  for (std::size_t i = 0; i < 5; ++i)
    for (std::size_t c = 0; c < Example::hidden; ++c)
      rows.at(i, c) = example.table[(6 - i) * Example::hidden + c];
  reference::Norm norm{reference::in_double(example.weight), reference::in_double(example.shift),
                       0.25};
  const MatrixView<float>& found = example.pass.relative.embedding;
  EXPECT_LT(reference::relative_error({found.data, 5 * Example::hidden}, norm.apply(rows).values),
            1e-6);
  const MatrixView<float>& gradient = example.pass.relative.gradient;
  ASSERT_EQ(gradient.rows, 5u);
  EXPECT_EQ(gradient.row(4)[Example::hidden - 1], 0.0f);
  const std::vector<float> slopes = normal(5 * Example::hidden, "slopes");
  std::ranges::copy(slopes, gradient.data);
  embedding.backward(example.pass, example.rows, example.arena);
  const auto expected = [&](std::span<double> values) {
    return reference::central_differences(values, [&] {
      return reference::dot(norm.apply(rows), reference::Rows(MatrixView<const float>(
                                                  slopes.data(), 5, Example::hidden)));
    });
  };
  EXPECT_LT(reference::relative_error(example.weight_gradient, expected(norm.weight)), 1e-6);
  EXPECT_LT(reference::relative_error(example.shift_gradient, expected(norm.shift)), 1e-6);
}

TEST(RelativeEmbedding, AddsTheGradientOfItsTableWithAndWithoutANorm) {
  for (const bool normalises : {false, true}) {
    Example example;
    example.pass.starts = example.starts;
    example.pass.training = true;
    RelativeEmbedding embedding = example.embedding(normalises, normalises);
    std::vector<float> found(example.table.size());
    embedding.train(found.data());
    embedding.start(example.pass, example.rows, example.arena);
    const std::vector<float> slopes = normal(5 * Example::hidden, "slopes");
    std::ranges::copy(slopes, example.pass.relative.gradient.data);
    embedding.backward(example.pass, example.rows, example.arena);
    std::vector<double> table = reference::in_double(example.table);
    const reference::Norm norm{reference::in_double(example.weight),
                               reference::in_double(example.shift), 0.25};
    const auto loss = [&] {
      reference::Rows rows(5, Example::hidden);
      for (std::size_t i = 0; i < rows.values.size(); ++i)
        rows.values[i] = table[(6 - i / Example::hidden) * Example::hidden + i % Example::hidden];
      return reference::dot(
          normalises ? norm.apply(rows) : rows,
          reference::Rows(MatrixView<const float>(slopes.data(), 5, Example::hidden)));
    };
    EXPECT_LT(reference::relative_error(found, reference::central_differences(table, loss)), 1e-6);
  }
}

TEST(RelativeEmbedding, WithAFrozenNormHasNoGradient) {
  Example example;
  example.pass.starts = example.starts;
  example.pass.training = true;
  const RelativeEmbedding embedding = example.embedding(true, false);
  embedding.start(example.pass, example.rows, example.arena);
  EXPECT_EQ(example.pass.relative.gradient.data, nullptr);
  embedding.backward(example.pass, example.rows, example.arena);
  EXPECT_EQ(example.weight_gradient[0], 0.0f);
}

}  // namespace
}  // namespace rankfold
