#include "experiments/models/blocks/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "core/base/random.h"

namespace rankfold {
namespace {

constexpr std::size_t heads = 3, d = 4, hidden = heads * d;

/// Sequences longer and shorter than a block of queries; q, k, v side by side; d_context.
struct Example {
  Example(std::vector<std::size_t> rows, bool first_rows_only)
      : key_starts(std::move(rows)), query_starts(key_starts) {
    if (first_rows_only) std::iota(query_starts.begin(), query_starts.end(), std::size_t{0});
    values.resize(3 * hidden * key_starts.back());
    RandomStream(1, "values").fill_normal(std::span(values), 0.0, 1.5);
    d_context.resize(hidden * query_starts.back());
    RandomStream(1, "d_context").fill_normal(std::span(d_context), 0.0, 1.0);
  }
  MatrixView<float> part(std::vector<float>& memory, std::size_t index) const {
    return {memory.data() + index * hidden, key_starts.back(), hidden, 3 * hidden};
  }
  std::vector<std::size_t> key_starts, query_starts;
  std::vector<float> values, d_context;
};

struct Result {
  std::vector<double> context, gradients;  ///< dq, dk, dv side by side
};

double dot(const float* a, const float* b) {
  return std::inner_product(a, a + d, b, 0.0);
}

/// By the formula, in double.
Result expected(Example& example, const Dropout& dropout) {
  const auto q = example.part(example.values, 0), k = example.part(example.values, 1),
             v = example.part(example.values, 2);
  const double scale = 1 / std::sqrt(static_cast<double>(d));
  Result result;
  result.context.resize(example.d_context.size());
  result.gradients.resize(example.values.size());
  const auto gradient = [&](std::size_t part, std::size_t row, std::size_t column) -> double& {
    return result.gradients[row * 3 * hidden + part * hidden + column];
  };
  for (std::size_t s = 0; s + 1 < example.key_starts.size(); ++s)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t i = example.query_starts[s]; i < example.query_starts[s + 1]; ++i) {
        const std::size_t first = example.key_starts[s], count = example.key_starts[s + 1] - first;
        std::vector<float> keep(Dropout::padded_width(count));
        dropout.factors(i * heads + h, count, keep.data());
        std::vector<double> p(count), dp(count);
        double sum = 0, slope = 0;
        for (std::size_t j = 0; j < count; ++j)
          sum += p[j] = std::exp(scale * dot(q.row(i) + h * d, k.row(first + j) + h * d));
        const float* d_row = example.d_context.data() + i * hidden + h * d;
        for (std::size_t j = 0; j < count; ++j) {
          p[j] /= sum;
          dp[j] = keep[j] * dot(d_row, v.row(first + j) + h * d);
          slope += p[j] * dp[j];
        }
        for (std::size_t j = 0; j < count; ++j)
          for (std::size_t c = h * d; c < (h + 1) * d; ++c) {
            const double ds = scale * p[j] * (dp[j] - slope);
            result.context[i * hidden + c] += p[j] * keep[j] * v.row(first + j)[c];
            gradient(0, i, c) += ds * k.row(first + j)[c];
            gradient(1, first + j, c) += ds * q.row(i)[c];
            gradient(2, first + j, c) += p[j] * keep[j] * d_row[c - h * d];
          }
      }
  return result;
}

struct Computed {
  std::vector<float> context, gradients;
};

Computed compute(Example& example, const Dropout& dropout, AttentionGradients wanted = {}) {
  const auto device = make_cpu_device();
  const Attention attention(heads, d, device);
  Arena arena(device);
  const AttentionTrace trace =
      attention.take_trace(example.query_starts, example.key_starts, dropout, arena);
  Computed result{std::vector<float>(example.d_context.size()), example.values};
  const MatrixView<float> q = example.part(result.gradients, 0),
                          k = example.part(result.gradients, 1),
                          v = example.part(result.gradients, 2);
  const std::size_t queries = example.query_starts.back();
  attention.forward(q, k, v, example.query_starts, example.key_starts, dropout, trace,
                    {result.context.data(), queries, hidden});
  attention.backward(q, k, v, example.query_starts, example.key_starts, dropout, trace,
                     {example.d_context.data(), queries, hidden}, wanted);
  return result;
}

void expect_near(const std::vector<float>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(values[i], expected[i], 2e-5) << i;
}

TEST(Attention, AndItsGradientsAreThoseOfTheFormula) {
  for (const Dropout& dropout : {Dropout(), Dropout(0.2, 1, "attention", 3)}) {
    Example example({0, 150, 151, 221, 349}, false);
    const Computed computed = compute(example, dropout);
    const Result formula = expected(example, dropout);
    expect_near(computed.context, formula.context);
    expect_near(computed.gradients, formula.gradients);
  }
}

TEST(Attention, OfFirstRowsHasTheirGradients) {
  const Dropout dropout(0.2, 1, "attention", 3);
  Example example({0, 150, 151, 221}, true);
  const Computed computed = compute(example, dropout);
  Result formula = expected(example, dropout);
  // The queries of the example are those of the first rows; others stay as they are.
  for (std::size_t i = example.query_starts.back(); i < example.key_starts.back(); ++i)
    std::copy_n(example.values.data() + i * 3 * hidden, hidden,
                formula.gradients.data() + i * 3 * hidden);
  expect_near(computed.context, formula.context);
  expect_near(computed.gradients, formula.gradients);
}

TEST(Attention, LeavesWhatIsNotWanted) {
  const Dropout dropout(0.2, 1, "attention", 3);
  Example example({0, 150, 151, 221}, false);
  const Computed all = compute(example, dropout);
  const Computed values = compute(example, dropout, {false, false, true});
  for (std::size_t i = 0; i < example.values.size(); ++i)
    ASSERT_EQ(values.gradients[i],
              i % (3 * hidden) < 2 * hidden ? example.values[i] : all.gradients[i]);
}

TEST(Attention, HasTheSameBitsOnAnyNumberOfThreads) {
  const int threads = kernel_report().threads;
  const Dropout dropout(0.2, 1, "attention", 3);
  Example example({0, 150, 151, 221, 349}, false);
  std::vector<Computed> computed;
  for (const int count : {1, 3}) {
    set_threads(count);
    computed.push_back(compute(example, dropout));
  }
  set_threads(threads);
  EXPECT_EQ(computed[0].context, computed[1].context);
  EXPECT_EQ(computed[0].gradients, computed[1].gradients);
}

TEST(Attention, TakesMemoryLinearInLongSequences) {
  const auto capacity = [](std::size_t length) {
    const auto device = make_cpu_device();
    const Attention attention(heads, d, device);
    Arena arena(device);
    Example example({0, length}, false);
    const Dropout dropout;
    const AttentionTrace trace =
        attention.take_trace(example.query_starts, example.key_starts, dropout, arena);
    std::vector<float> context(example.d_context.size());
    attention.forward(example.part(example.values, 0), example.part(example.values, 1),
                      example.part(example.values, 2), example.query_starts, example.key_starts,
                      dropout, trace, {context.data(), length, hidden});
    return arena.capacity();
  };
  EXPECT_LT(capacity(2048), 5 * capacity(512));
}

}  // namespace
}  // namespace rankfold
