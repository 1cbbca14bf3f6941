#include "core/device/layer_operations.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "core/device/bfloat16_weight.h"
#include "core/device/dropout.h"
#include "every_device.h"

// The layers of networks on every device, against loops in double.

namespace rankfold {
namespace {

class Layers : public EveryDevice {
 protected:
  /// Rows that lie apart.
  static constexpr std::size_t rows = 5, columns = 21, stride = 32;

  std::vector<float> numbers(std::size_t size, const std::string& purpose) const {
    return random<float>(size, purpose);
  }
  static MatrixView<float> view(Buffer<float>& buffer) {
    return {buffer.data(), rows, columns, stride};
  }
  static MatrixView<float> dense(Buffer<float>& buffer, std::size_t height = rows,
                                 std::size_t width = columns) {
    return {buffer.data(), height, width};
  }
  /// The factors of a row.
  static std::vector<float> factors(const Dropout& dropout, std::size_t row, std::size_t width) {
    std::vector<float> keep(Dropout::padded_width(width));
    dropout.factors(row, width, keep.data());
    return keep;
  }
  /// Calls f for each number of a matrix whose rows lie apart: what it was becomes what f says.
  static std::vector<float> changed(
      std::vector<float> x, const std::function<double(std::size_t, std::size_t, double)>& f) {
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        x[i * stride + j] = static_cast<float>(f(i, j, x[i * stride + j]));
    return x;
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, Layers, testing::Values("cpu", "test"),
                         [](const auto& name) { return name.param; });

TEST_P(Layers, GatherRowsAndAddToThem) {
  const auto x = numbers(rows * stride, "x"), added = numbers(3 * columns, "added");
  const std::vector<std::size_t> chosen = {4, 0, 2};
  Buffer<float> from = put(x), to(device, 3 * columns), addend = put(added);
  device->gather_rows(view(from), chosen, dense(to, 3));
  std::vector<float> expected;
  for (const std::size_t row : chosen)
    expected.insert(expected.end(), x.begin() + static_cast<std::ptrdiff_t>(row * stride),
                    x.begin() + static_cast<std::ptrdiff_t>(row * stride + columns));
  EXPECT_EQ(get(to), expected);
  device->add_to_rows(dense(addend, 3), chosen, view(from));
  expected = x;
  for (std::size_t i = 0; i < 3; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      expected[chosen[i] * stride + j] += added[i * columns + j];
  EXPECT_EQ(get(from), expected);
}

TEST_P(Layers, AddTheSumsOfColumns) {
  const auto x = numbers(rows * stride, "x"), before = numbers(columns, "before");
  Buffer<float> matrix = put(x), sums = put(before);
  device->add_column_sums(view(matrix), sums.data());
  std::vector<float> expected = before;
  for (std::size_t j = 0; j < columns; ++j) {
    double sum = before[j];
    for (std::size_t i = 0; i < rows; ++i) sum += x[i * stride + j];
    expected[j] = static_cast<float>(sum);
  }
  expect_close(get(sums), expected);
}

TEST_P(Layers, MultiplyByFactorsAndByDropout) {
  const auto x = numbers(rows * stride, "x"), factor = numbers(rows * stride, "factor");
  Buffer<float> product = put(x), by = put(factor), thinned = put(x), whole = put(x);
  device->multiply_matrix(view(by), view(product));
  expect_close(get(product), changed(x, [&](std::size_t i, std::size_t j, double value) {
                 return value * factor[i * stride + j];
               }));
  const Dropout dropout = Dropout(0.4, 3, "place", 8).from_row(6);
  device->apply_dropout(dropout, view(thinned));
  expect_close(get(thinned), changed(x, [&](std::size_t i, std::size_t j, double value) {
                 return value * factors(dropout, i, columns)[j];
               }));
  device->apply_dropout(Dropout(), view(whole));
  EXPECT_EQ(get(whole), x);
}

TEST_P(Layers, TakeTheHyperbolicTangentAndItsSlope) {
  const auto x = numbers(rows * stride, "x"), d = numbers(rows * stride, "d");
  Buffer<float> y = put(x), slope = put(d);
  device->tanh(view(y));
  const auto expected =
      changed(x, [](std::size_t, std::size_t, double value) { return std::tanh(value); });
  expect_close(get(y), expected);
  device->tanh_backward(view(y), view(slope));
  expect_close(get(slope), changed(d, [&](std::size_t i, std::size_t j, double value) {
                 return value * (1 - std::pow(expected[i * stride + j], 2));
               }));
}

TEST_P(Layers, ActivateAndKeepTheSlope) {
  const auto x = numbers(rows * stride, "x"), bias = numbers(columns, "bias");
  for (const auto activation :
       {HiddenActivation::gelu, HiddenActivation::gelu_tanh, HiddenActivation::relu,
        HiddenActivation::silu, HiddenActivation::tanh})
    for (const bool with_bias : {true, false})
      for (const bool keep : {true, false}) {
        Buffer<float> inner = put(x), shift = put(bias), value = put(x);
        device->activate(activation, view(inner), with_bias ? shift.data() : nullptr, view(value),
                         keep);
        const auto argument = [&](std::size_t j, double at) {
          return at + (with_bias ? bias[j] : 0.0f);
        };
        expect_close(get(value), changed(x, [&](std::size_t, std::size_t j, double at) {
                       return function_of(activation, argument(j, at));
                     }));
        const double h = 1e-5;
        expect_close(get(inner), changed(x, [&](std::size_t, std::size_t j, double at) {
                       const double center = argument(j, at);
                       return keep ? (function_of(activation, center + h) -
                                      function_of(activation, center - h)) /
                                         (2 * h)
                                   : at;
                     }));
      }
}

/// A norm of residual + dropout(z + bias), in double.
struct NormFormula {
  std::vector<double> z, bias, residual, weight, shift;
  Dropout dropout;
  std::size_t rows, columns;
  double epsilon;

  struct Result {
    std::vector<double> out, normalised, inverse;
  };
  Result apply() const {
    Result result;
    const auto n = static_cast<double>(columns);
    for (std::size_t i = 0; i < rows; ++i) {
      std::vector<float> keep(Dropout::padded_width(columns));
      dropout.factors(i, columns, keep.data());
      std::vector<double> s(columns);
      double mean = 0, variance = 0;
      for (std::size_t j = 0; j < columns; ++j) {
        s[j] = residual[i * columns + j] + keep[j] * (z[i * columns + j] + bias[j]);
        mean += s[j] / n;
      }
      for (const double value : s) variance += (value - mean) * (value - mean) / n;
      result.inverse.push_back(1 / std::sqrt(variance + epsilon));
      for (std::size_t j = 0; j < columns; ++j) {
        result.normalised.push_back((s[j] - mean) * result.inverse.back());
        result.out.push_back(result.normalised.back() * weight[j] + shift[j]);
      }
    }
    return result;
  }
};

std::vector<double> in_double(const std::vector<float>& x) {
  return {x.begin(), x.end()};
}
std::vector<float> in_float(const std::vector<double>& x) {
  return {x.begin(), x.end()};
}

/// The slope of <f(), d> in each number of `values`, or in every step-th of them.
std::vector<float> slopes(std::vector<double>& values, const std::vector<float>& d,
                          const std::function<std::vector<double>()>& f, std::size_t step = 1) {
  const auto loss = [&] {
    const std::vector<double> y = f();
    return std::inner_product(y.begin(), y.end(), d.begin(), 0.0);
  };
  std::vector<float> result;
  for (std::size_t i = 0; i < values.size(); i += step) {
    const double at = values[i], h = 1e-5;
    values[i] = at + h;
    const double above = loss();
    values[i] = at - h;
    result.push_back(static_cast<float>((above - loss()) / (2 * h)));
    values[i] = at;
  }
  return result;
}

/// Every step-th of them.
std::vector<float> some(const std::vector<float>& numbers, std::size_t step) {
  std::vector<float> result;
  for (std::size_t i = 0; i < numbers.size(); i += step) result.push_back(numbers[i]);
  return result;
}

TEST_P(Layers, NormaliseSumsAndFormTheirGradients) {
  for (const bool drops : {false, true}) {
    const auto z = numbers(rows * columns, "z"), residual = numbers(rows * columns, "residual"),
               bias = numbers(columns, "bias"), weight = numbers(columns, "weight"),
               shift = numbers(columns, "shift"), d_out = numbers(rows * columns, "d_out");
    const Dropout dropout = drops ? Dropout(0.3, 1, "place", 2) : Dropout();
    NormFormula formula{in_double(z),
                        in_double(bias),
                        in_double(residual),
                        in_double(weight),
                        in_double(shift),
                        dropout,
                        rows,
                        columns,
                        0.125};
    Buffer<float> zs = put(z), residuals = put(residual), biases = put(bias), weights = put(weight),
                  shifts = put(shift), out(device, rows * columns), again(device, rows * columns),
                  normalised(device, rows * columns), inverse(device, rows);
    const NormWeights norm{weights.data(), shifts.data(), 0.125f};
    const NormTrace trace{dense(normalised), inverse.data()};
    device->add_and_normalise(norm, dense(zs), biases.data(), dropout, dense(residuals), trace,
                              dense(out));
    const NormFormula::Result expected = formula.apply();
    expect_close(get(out), in_float(expected.out));
    expect_close(get(normalised), in_float(expected.normalised));
    expect_close(get(inverse), in_float(expected.inverse));
    device->scale_and_shift(norm, dense(normalised), dense(again));
    expect_close(get(again), in_float(expected.out));

    Buffer<float> d_outs = put(d_out), d_residual(device, rows * columns),
                  dz(device, rows * columns), weight_gradient = put(shift),
                  shift_gradient = put(weight);
    device->add_and_normalise_backward(norm, dropout, dense(d_outs), trace, dense(d_residual),
                                       dense(dz));
    const auto f = [&] { return formula.apply().out; };
    expect_close(get(d_residual), slopes(formula.residual, d_out, f));
    expect_close(get(dz), slopes(formula.z, d_out, f));
    device->add_norm_gradients(dense(d_outs), dense(normalised), weight_gradient.data(),
                               shift_gradient.data());
    std::vector<float> of_weight = slopes(formula.weight, d_out, f),
                       of_shift = slopes(formula.shift, d_out, f);
    for (std::size_t j = 0; j < columns; ++j) {
      of_weight[j] += shift[j];
      of_shift[j] += weight[j];
    }
    expect_close(get(weight_gradient), of_weight);
    expect_close(get(shift_gradient), of_shift);

    // Without bias, residual and trace.
    device->add_and_normalise(norm, dense(zs), nullptr, dropout, {}, {}, dense(out));
    formula.bias.assign(columns, 0);
    formula.residual.assign(rows * columns, 0);
    expect_close(get(out), in_float(formula.apply().out));
  }
}

TEST_P(Layers, EmbedTokensAndNormaliseThem) {
  const auto words = numbers(9 * columns, "words"), positions = numbers(3 * columns, "positions"),
             types = numbers(2 * columns, "types"), weight = numbers(columns, "weight"),
             shift = numbers(columns, "shift");
  const std::vector<std::int32_t> ids = {3, 8, 0, 1, 3}, type_ids = {0, 1, 1, 0, 0};
  const std::vector<std::size_t> starts = {0, 3, 5}, place = {0, 1, 2, 0, 1};
  const Dropout dropout(0.3, 1, "place", 2);
  std::vector<double> sums(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      sums[i * columns + j] = double{words[static_cast<std::size_t>(ids[i]) * columns + j]} +
                              types[static_cast<std::size_t>(type_ids[i]) * columns + j] +
                              positions[place[i] * columns + j];
  const NormFormula::Result expected = NormFormula{sums,
                                                   std::vector<double>(columns),
                                                   std::vector<double>(rows * columns),
                                                   in_double(weight),
                                                   in_double(shift),
                                                   Dropout(),
                                                   rows,
                                                   columns,
                                                   0.25}
                                           .apply();
  std::vector<double> dropped = expected.out;
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      dropped[i * columns + j] *= factors(dropout, i, columns)[j];
  const Buffer<float> table = put(words), places = put(positions), kinds = put(types),
                      weights = put(weight), shifts = put(shift);
  const EmbeddingTables tables{table.data(), places.data(), kinds.data()};
  const NormWeights norm{weights.data(), shifts.data(), 0.25f};
  Buffer<float> out(device, rows * columns), normalised(device, rows * columns);
  device->embed(tables, ids, type_ids, starts, norm, dropout, dense(normalised), dense(out));
  expect_close(get(out), in_float(dropped));
  expect_close(get(normalised), in_float(expected.normalised));
  device->embed(tables, ids, type_ids, starts, norm, Dropout(), {}, dense(out));
  expect_close(get(out), in_float(expected.out));
}

TEST_P(Layers, EmbedWithoutTablesAndWithPositionsThatPassOverPadding) {
  const auto words = numbers(9 * columns, "words"), positions = numbers(5 * columns, "positions"),
             weight = numbers(columns, "weight"), shift = numbers(columns, "shift");
  // Token 1 is the padding's: it has its position, and the others go on behind it.
  const std::vector<std::int32_t> ids = {3, 1, 8, 1, 0}, type_ids = {7, 0, -3, 0, 0};
  const std::vector<std::size_t> starts = {0, 3, 5}, place = {2, 1, 3, 1, 2};
  const Buffer<float> table = put(words), places = put(positions), weights = put(weight),
                      shifts = put(shift);
  for (const bool with_positions : {true, false}) {
    std::vector<double> sums(rows * columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        sums[i * columns + j] = double{words[static_cast<std::size_t>(ids[i]) * columns + j]} +
                                (with_positions ? positions[place[i] * columns + j] : 0.0f);
    NormFormula formula{sums,
                        std::vector<double>(columns),
                        std::vector<double>(rows * columns),
                        in_double(weight),
                        in_double(shift),
                        Dropout(),
                        rows,
                        columns,
                        0.25};
    Buffer<float> out(device, rows * columns);
    device->embed({.words = table.data(),
                   .positions = with_positions ? places.data() : nullptr,
                   .padding = 1},
                  ids, type_ids, starts, {weights.data(), shifts.data(), 0.25f}, Dropout(), {},
                  dense(out));
    expect_close(get(out), in_float(formula.apply().out));
  }
}

TEST_P(Layers, AttendWithinSequencesAndBack) {
  // Of long sequences the slopes in all numbers take too long.
  constexpr std::size_t heads = 2, head_dim = 3, hidden = heads * head_dim, tokens = 73, step = 5;
  const std::vector<std::size_t> starts = {0, 68, 69, 73}, firsts = {0, 1, 2, 3};
  const Dropout dropout(0.25, 1, "place", 2);
  for (const bool first_rows : {false, true}) {
    const std::vector<std::size_t>& query_starts = first_rows ? firsts : starts;
    const std::size_t queries = query_starts.back();
    const auto q = numbers(queries * hidden, "q"), k = numbers(tokens * hidden, "k"),
               v = numbers(tokens * hidden, "v"), d = numbers(queries * hidden, "d");
    std::vector<double> qs = in_double(q), ks = in_double(k), vs = in_double(v);
    const auto formula = [&] {
      std::vector<double> context(queries * hidden);
      for (std::size_t s = 0; s + 1 < starts.size(); ++s)
        for (std::size_t h = 0; h < heads; ++h)
          for (std::size_t i = query_starts[s]; i < query_starts[s + 1]; ++i) {
            const std::size_t count = starts[s + 1] - starts[s];
            const std::vector<float> keep = factors(dropout, i * heads + h, count);
            std::vector<double> p(count);
            double total = 0;
            for (std::size_t j = 0; j < count; ++j) {
              double score = 0;
              for (std::size_t c = h * head_dim; c < (h + 1) * head_dim; ++c)
                score += qs[i * hidden + c] * ks[(starts[s] + j) * hidden + c];
              total += p[j] = std::exp(score / std::sqrt(double{head_dim}));
            }
            for (std::size_t j = 0; j < count; ++j)
              for (std::size_t c = h * head_dim; c < (h + 1) * head_dim; ++c)
                context[i * hidden + c] +=
                    p[j] / total * keep[j] * vs[(starts[s] + j) * hidden + c];
          }
      return context;
    };
    Buffer<float> q_memory = put(q), k_memory = put(k), v_memory = put(v), d_context = put(d),
                  context(device, queries * hidden);
    const std::size_t kept_stride = kept_bytes(68);
    const Buffer<float> memory(device, queries * heads * (2 + kept_stride / sizeof(float)));
    float* const kept = const_cast<float*>(memory.data());
    const AttentionTrace trace{reinterpret_cast<SoftmaxSums*>(kept),
                               reinterpret_cast<unsigned char*>(kept + 2 * queries * heads),
                               kept_stride};
    const AttentionShape shape{heads, head_dim, query_starts, starts};
    const auto q_view = dense(q_memory, queries, hidden), k_view = dense(k_memory, tokens, hidden),
               v_view = dense(v_memory, tokens, hidden);
    device->attend(shape, q_view, k_view, v_view, dropout, trace, dense(context, queries, hidden));
    expect_close(get(context), in_float(formula()));
    device->attend_backward(shape, q_view, k_view, v_view, dropout, trace,
                            dense(d_context, queries, hidden), {true, false, true});
    expect_close(some(get(v_memory), step), slopes(vs, d, formula, step));
    expect_close(some(get(q_memory), step), slopes(qs, d, formula, step));
    EXPECT_EQ(get(k_memory), k);

    Buffer<float> q_again = put(q), k_again = put(k), v_again = put(v);
    device->attend_backward(shape, dense(q_again, queries, hidden), dense(k_again, tokens, hidden),
                            dense(v_again, tokens, hidden), dropout, trace,
                            dense(d_context, queries, hidden), {false, true, false});
    expect_close(some(get(k_again), step), slopes(ks, d, formula, step));
    EXPECT_EQ(get(q_again), q);
    EXPECT_EQ(get(v_again), v);
  }
}

TEST_P(Layers, FormLossesAndTheirGradients) {
  constexpr std::size_t classes = 3;
  const auto logits = numbers(rows * classes, "logits");
  const std::vector<float> labels = {2, 0, 1, 1, 0};
  Buffer<float> memory = put(logits), gradient(device, rows * classes);
  std::vector<double> x = in_double(logits);
  for (const double smoothing : {0.0, 0.3}) {
    const auto cross_entropy = [&] {
      double sum = 0;
      for (std::size_t i = 0; i < rows; ++i) {
        double total = 0;
        for (std::size_t c = 0; c < classes; ++c) total += std::exp(x[i * classes + c]);
        for (std::size_t c = 0; c < classes; ++c) {
          const double target = smoothing / classes + (float(c) == labels[i] ? 1 - smoothing : 0);
          sum += target * (std::log(total) - x[i * classes + c]) / rows;
        }
      }
      return std::vector<double>{sum};
    };
    EXPECT_NEAR(device->cross_entropy(dense(memory, rows, classes), labels, smoothing,
                                      dense(gradient, rows, classes)),
                cross_entropy()[0], 1e-12);
    expect_close(get(gradient), slopes(x, {1}, cross_entropy));
  }
  const auto squared_error = [&] {
    double sum = 0;
    for (std::size_t n = 0; n < x.size(); ++n)
      sum += std::pow(x[n] - labels[n / classes], 2) / (rows * classes);
    return std::vector<double>{sum};
  };
  EXPECT_NEAR(
      device->squared_error(dense(memory, rows, classes), labels, dense(gradient, rows, classes)),
      squared_error()[0], 1e-12);
  expect_close(get(gradient), slopes(x, {1}, squared_error));
}

TEST_P(Layers, TakeBlocksOfAtLeastOneRow) {
  for (const std::size_t rows_of_all : {1, 100, 100'000}) {
    const std::size_t block = device->feed_forward_rows(rows_of_all, 3072);
    EXPECT_GE(block, 1u);
    EXPECT_LE(block, rows_of_all);
  }
}

TEST_P(Layers, PrepareWeightsForProductsInBfloat16) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  constexpr std::size_t out = 8, in = 16;
  const auto weight = numbers(out * in, "weight"), x = numbers(rows * in, "x");
  Buffer<float> weights = put(weight), input = put(x), y(device, rows * out);
  const auto prepared = device->prepare_bfloat16(weights.data(), out, in);
  device->bfloat16_forward(*prepared, dense(input, rows, in), nullptr, dense(y, rows, out));
  std::vector<float> expected(rows * out);
  Bfloat16Weight(weight.data(), out, in)
      .forward({x.data(), rows, in}, nullptr, {expected.data(), rows, out});
  EXPECT_EQ(get(y), expected);
}

}  // namespace
}  // namespace rankfold
