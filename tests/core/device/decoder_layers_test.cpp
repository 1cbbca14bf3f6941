#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include "core/device/dropout.h"
#include "core/device/layer_operations.h"
#include "every_device.h"

// What decoders have beside encoders, on every device, against loops in double.

namespace rankfold {
namespace {

using Doubles = std::vector<double>;
using Formula = std::function<Doubles()>;

class DecoderLayers : public EveryDevice {
 protected:
  static constexpr std::size_t rows = 5, columns = 24;

  std::vector<float> numbers(std::size_t size, const std::string& purpose) const {
    return random<float>(size, purpose);
  }
  static MatrixView<float> dense(Buffer<float>& buffer, std::size_t height = rows,
                                 std::size_t width = columns) {
    return {buffer.data(), height, width};
  }
  static Doubles doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }
  static std::vector<float> floats(const Doubles& x) { return {x.begin(), x.end()}; }
  static std::vector<float> keeps(const Dropout& dropout, std::size_t row, std::size_t width) {
    std::vector<float> keep(Dropout::padded_width(width));
    dropout.factors(row, width, keep.data());
    return keep;
  }
  /// before + the slope of <f(), d> in each number of `values`, or in every step-th of them.
  static std::vector<float> slope(Doubles& values, const std::vector<float>& d, const Formula& f,
                                  std::vector<float> before = {}, std::size_t step = 1) {
    before.resize(values.size());
    const auto loss = [&] {
      const Doubles y = f();
      return std::inner_product(y.begin(), y.end(), d.begin(), 0.0);
    };
    for (std::size_t i = 0; i < values.size(); i += step) {
      const double at = values[i], h = 1e-5;
      values[i] = at + h;
      const double above = loss();
      values[i] = at - h;
      before[i] += static_cast<float>((above - loss()) / (2 * h));
      values[i] = at;
    }
    return before;
  }
  /// That every seventh of `got` is the slope in that number: of long sequences all take too long.
  static void expect_slopes(const std::vector<float>& got, Doubles& values,
                            const std::vector<float>& d, const Formula& f) {
    constexpr std::size_t step = 7;
    std::vector<float> expected = slope(values, d, f, {}, step);
    for (std::size_t i = 0; i < got.size(); ++i)
      if (i % step != 0) expected[i] = got[i];
    expect_close(got, expected);
  }
};

INSTANTIATE_TEST_SUITE_P(Devices, DecoderLayers, testing::Values("cpu", "test"),
                         [](const auto& name) { return name.param; });

Doubles normalised(const Doubles& x, const Doubles& weight, const Doubles& shift, bool centred,
                   double epsilon) {
  const std::size_t width = weight.size();
  const auto n = static_cast<double>(width);
  Doubles y(x.size());
  for (std::size_t begin = 0; begin < x.size(); begin += width) {
    double mean = 0, variance = 0;
    for (std::size_t j = 0; centred && j < width; ++j) mean += x[begin + j] / n;
    for (std::size_t j = 0; j < width; ++j) variance += std::pow(x[begin + j] - mean, 2) / n;
    for (std::size_t j = 0; j < width; ++j)
      y[begin + j] = (x[begin + j] - mean) / std::sqrt(variance + epsilon) * weight[j] +
                     (shift.empty() ? 0.0 : shift[j]);
  }
  return y;
}

TEST_P(DecoderLayers, NormaliseRowsOrTheirPartsAndFormGradients) {
  for (const bool centred : {false, true})
    for (const std::size_t groups : {1, 3}) {
      const std::size_t width = columns / groups;
      const auto x = numbers(rows * columns, "x"), weight = numbers(width, "weight"),
                 shift = numbers(width, "shift"), d = numbers(rows * columns, "d"),
                 before = numbers(rows * columns, "before");
      Doubles xs = doubles(x), weights = doubles(weight),
              shifts = centred ? doubles(shift) : Doubles();
      const Formula f = [&] { return normalised(xs, weights, shifts, centred, 0.125); };
      Buffer<float> rows_in = put(x), weight_in = put(weight), shift_in = put(shift),
                    d_out = put(d), out(device, rows * columns), dx = put(before),
                    in_place = put(x), d_in_place = put(d), d_weight = put(weight),
                    d_shift = put(shift);
      const NormWeights norm{weight_in.data(), centred ? shift_in.data() : nullptr, 0.125f, centred,
                             groups};
      device->normalise(norm, dense(rows_in), dense(out));
      expect_close(get(out), floats(f()));
      device->normalise(norm, dense(in_place), dense(in_place));
      EXPECT_EQ(get(in_place), get(out));
      device->normalise_backward(norm, dense(d_out), dense(rows_in), true, dense(dx));
      expect_close(get(dx), slope(xs, d, f, before));
      device->normalise_backward(norm, dense(d_in_place), dense(rows_in), false, dense(d_in_place));
      expect_close(get(d_in_place), slope(xs, d, f));
      device->add_normalise_gradients(norm, dense(d_out), dense(rows_in), d_weight.data(),
                                      centred ? d_shift.data() : nullptr);
      expect_close(get(d_weight), slope(weights, d, f, weight));
      if (centred) expect_close(get(d_shift), slope(shifts, d, f, shift));
    }
}

TEST_P(DecoderLayers, AddUpTheGradientsOfANormOverManyRows) {
  constexpr std::size_t many = 131;
  const auto x = numbers(many * columns, "x"), d = numbers(many * columns, "d");
  Doubles weights(columns, 1.0);
  const Doubles xs = doubles(x);
  Buffer<float> rows_in = put(x), d_out = put(d), ones = put(std::vector<float>(columns, 1.0f)),
                d_weight = put(std::vector<float>(columns));
  device->add_normalise_gradients({ones.data(), nullptr, 0.5f, false}, dense(d_out, many),
                                  dense(rows_in, many), d_weight.data(), nullptr);
  expect_close(get(d_weight),
               slope(weights, d, [&] { return normalised(xs, weights, {}, false, 0.5); }));
}

TEST_P(DecoderLayers, AddToTheResidualAndNormaliseTheSum) {
  const auto z = numbers(rows * columns, "z"), residual = numbers(rows * columns, "residual"),
             bias = numbers(columns, "bias"), weight = numbers(columns, "weight");
  for (const bool full : {true, false}) {
    const Dropout dropout = full ? Dropout(0.3, 1, "place", 2) : Dropout();
    Doubles sum(rows * columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        sum[i * columns + j] =
            residual[i * columns + j] +
            double{keeps(dropout, i, columns)[j]} * (z[i * columns + j] + (full ? bias[j] : 0.0f));
    Buffer<float> zs = put(z), stream = put(residual), biases = put(bias), weights = put(weight),
                  out(device, rows * columns);
    const NormWeights norm{weights.data(), nullptr, 0.125f, false};
    device->add_residual_and_normalise(norm, dense(zs), full ? biases.data() : nullptr, dropout,
                                       dense(stream), dense(stream),
                                       full ? dense(out) : MatrixView<float>());
    expect_close(get(stream), floats(sum));
    if (full) expect_close(get(out), floats(normalised(sum, doubles(weight), {}, false, 0.125)));
  }
}

TEST_P(DecoderLayers, TurnPairsByTheirPositionAndBack) {
  constexpr std::size_t half = 4, head = 2 * half;
  const std::vector<std::size_t> positions = {2, 3, 4, 0, 5};
  const auto x = numbers(rows * columns, "x"), angle = numbers(6 * half, "angle");
  std::vector<float> cosine, sine;
  for (const float value : angle) {
    cosine.push_back(std::cos(value));
    sine.push_back(std::sin(value));
  }
  Doubles expected = doubles(x);
  for (std::size_t t = 0; t < rows; ++t)
    for (std::size_t begin = 0; begin < columns; begin += head)
      for (std::size_t i = 0; i < half; ++i) {
        const double at = angle[positions[t] * half + i];
        const double a = x[t * columns + begin + i], b = x[t * columns + begin + half + i];
        expected[t * columns + begin + i] = a * std::cos(at) - b * std::sin(at);
        expected[t * columns + begin + half + i] = b * std::cos(at) + a * std::sin(at);
      }
  Buffer<float> turned = put(x), cosines = put(cosine), sines = put(sine);
  const TurnTable table{cosines.data(), sines.data(), half};
  device->turn(table, positions, false, dense(turned));
  expect_close(get(turned), floats(expected));
  device->turn(table, positions, true, dense(turned));
  expect_close(get(turned), x);
}

TEST_P(DecoderLayers, GateAndFormBothGradients) {
  for (const auto activation :
       {HiddenActivation::gelu, HiddenActivation::gelu_tanh, HiddenActivation::relu,
        HiddenActivation::silu, HiddenActivation::tanh}) {
    const auto gate = numbers(rows * columns, "gate"), up = numbers(rows * columns, "up"),
               d = numbers(rows * columns, "d");
    Doubles gates = doubles(gate), ups = doubles(up);
    const Formula f = [&] {
      Doubles y;
      for (std::size_t i = 0; i < gates.size(); ++i)
        y.push_back(function_of(activation, gates[i]) * ups[i]);
      return y;
    };
    Buffer<float> gate_in = put(gate), up_in = put(up), d_out = put(d), out(device, rows * columns);
    device->gated(activation, dense(gate_in), dense(up_in), dense(out));
    expect_close(get(out), floats(f()));
    device->gated_backward(activation, dense(d_out), dense(gate_in), dense(up_in));
    expect_close(get(gate_in), slope(gates, d, f));
    expect_close(get(up_in), slope(ups, d, f));
  }
}

TEST_P(DecoderLayers, EmbedTokensWithAndWithoutPositions) {
  const auto words = numbers(9 * columns, "words"), places = numbers(5 * columns, "places");
  const std::vector<std::int32_t> ids = {3, 8, 0, 1, 3};
  const std::vector<std::size_t> positions = {2, 3, 4, 0, 1};
  Buffer<float> table = put(words), rows_of_places = put(places), out(device, rows * columns);
  for (const bool learned : {true, false}) {
    std::vector<float> expected;
    for (std::size_t t = 0; t < rows; ++t)
      for (std::size_t j = 0; j < columns; ++j)
        expected.push_back(words[static_cast<std::size_t>(ids[t]) * columns + j] +
                           (learned ? places[positions[t] * columns + j] : 0.0f));
    device->embed_tokens(table.data(), learned ? rows_of_places.data() : nullptr, ids, positions,
                         dense(out));
    EXPECT_EQ(get(out), expected);
  }
}

TEST_P(DecoderLayers, FormTheLossesOverAVocabularyInPlace) {
  // More columns than one sum in float has.
  for (const auto& [count, words] : {std::pair<std::size_t, std::size_t>{70, 11}, {3, 9000}}) {
    const auto logits = numbers(count * words, "logits"), scales = numbers(count, "scales");
    std::vector<std::int32_t> labels;
    for (std::size_t i = 0; i < count; ++i)
      labels.push_back(static_cast<std::int32_t>((7 * i + 3) % words));
    Doubles expected_losses, expected;
    for (std::size_t i = 0; i < count; ++i) {
      double total = 0;
      for (std::size_t c = 0; c < words; ++c) total += std::exp(double{logits[i * words + c]});
      const auto label = static_cast<std::size_t>(labels[i]);
      expected_losses.push_back(std::log(total) - logits[i * words + label]);
      for (std::size_t c = 0; c < words; ++c)
        expected.push_back(
            scales[i] * (std::exp(double{logits[i * words + c]}) / total - (c == label ? 1 : 0)));
    }
    Buffer<float> memory = put(logits), used = put(logits);
    Doubles losses(count), alone(count);
    device->cross_entropy_in_place(dense(memory, count, words), labels, scales, losses);
    expect_close(floats(losses), floats(expected_losses));
    expect_close(get(memory), floats(expected));
    device->cross_entropy_in_place(dense(used, count, words), labels, {}, alone);
    expect_close(floats(alone), floats(expected_losses));
  }
}

struct CausalCase {
  std::size_t heads, key_value_heads, window;
  std::vector<std::size_t> query_starts;
  double dropout;
  std::vector<std::size_t> prefixes = {}, starts = {0, 70, 71, 76};
};

/// Queries are the last tokens of their sequences, which go on from their prefixes.
Doubles attended(const CausalCase& c, std::size_t head_dim, const std::vector<std::size_t>& starts,
                 const Dropout& dropout, const Doubles& q, const Doubles& k, const Doubles& v) {
  const std::size_t width = c.heads * head_dim, key_width = c.key_value_heads * head_dim;
  Doubles context(c.query_starts.back() * width);
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    std::vector<std::size_t> keys;
    if (has_prefix(c.prefixes, s))
      for (std::size_t j = starts[c.prefixes[s]]; j < starts[c.prefixes[s] + 1]; ++j)
        keys.push_back(j);
    for (std::size_t j = starts[s]; j < starts[s + 1]; ++j) keys.push_back(j);
    for (std::size_t h = 0; h < c.heads; ++h)
      for (std::size_t i = c.query_starts[s]; i < c.query_starts[s + 1]; ++i) {
        const std::size_t position = keys.size() - (c.query_starts[s + 1] - i);
        const std::size_t column = h * c.key_value_heads / c.heads * head_dim;
        std::vector<float> keep(Dropout::padded_width(position + 1));
        dropout.factors(i * c.heads + h, position + 1, keep.data());
        Doubles p(position + 1);
        double total = 0;
        for (std::size_t j = 0; j <= position; ++j) {
          if (c.window > 0 && j + c.window <= position) continue;
          double score = 0;
          for (std::size_t e = 0; e < head_dim; ++e)
            score += q[i * width + h * head_dim + e] * k[keys[j] * key_width + column + e];
          total += p[j] = std::exp(score / std::sqrt(static_cast<double>(head_dim)));
        }
        for (std::size_t j = 0; j <= position; ++j)
          for (std::size_t e = 0; e < head_dim; ++e)
            context[i * width + h * head_dim + e] +=
                p[j] / total * keep[j] * v[keys[j] * key_width + column + e];
      }
  }
  return context;
}

TEST_P(DecoderLayers, AttendToWhatLiesBeforeAndBack) {
  constexpr std::size_t head_dim = 3, none = no_prefix;
  const std::vector<std::size_t> all = {0, 70, 71, 76}, lasts = {0, 1, 2, 3}, ends = {0, 3, 4, 6},
                                 few = {0, 6, 7, 11};
  for (const CausalCase& c :
       {CausalCase{4, 2, 0, all, 0.25}, CausalCase{3, 3, 5, all, 0},
        CausalCase{3, 1, 66, all, 0.25}, CausalCase{4, 2, 0, lasts, 0.25},
        CausalCase{4, 1, 2, ends, 0}, CausalCase{4, 2, 0, few, 0.25, {none, 0, 0}, few},
        CausalCase{2, 1, 0, {0, 6, 6, 10}, 0, {}, few},
        CausalCase{3, 1, 3, few, 0, {none, 0, 0}, few},
        CausalCase{4, 2, 0, lasts, 0, {none, none, 1}, few},
        CausalCase{1, 1, 66, all, 0, {none, none, 0}}}) {
    const std::vector<std::size_t>& starts = c.starts;
    const std::size_t width = c.heads * head_dim, key_width = c.key_value_heads * head_dim,
                      tokens = starts.back(), queries = c.query_starts.back();
    const auto q = numbers(queries * width, "q"), k = numbers(tokens * key_width, "k"),
               v = numbers(tokens * key_width, "v"), d = numbers(queries * width, "d");
    const Dropout dropout = c.dropout > 0 ? Dropout(c.dropout, 1, "place", 2) : Dropout();
    Doubles qs = doubles(q), ks = doubles(k), vs = doubles(v);
    const Formula f = [&] { return attended(c, head_dim, starts, dropout, qs, ks, vs); };
    Buffer<float> q_in = put(q), k_in = put(k), v_in = put(v), d_out = put(d),
                  context(device, queries * width);
    const std::size_t kept_stride = kept_bytes(tokens);
    const Buffer<float> memory(device, queries * c.heads * (2 + kept_stride / sizeof(float)));
    float* const kept = const_cast<float*>(memory.data());
    const AttentionTrace trace{reinterpret_cast<SoftmaxSums*>(kept),
                               reinterpret_cast<unsigned char*>(kept + 2 * queries * c.heads),
                               kept_stride};
    const AttentionShape shape{c.heads,           head_dim, c.query_starts, starts,
                               c.key_value_heads, true,     c.window,       c.prefixes};
    device->attend(shape, dense(q_in, queries, width), dense(k_in, tokens, key_width),
                   dense(v_in, tokens, key_width), dropout, trace, dense(context, queries, width));
    expect_close(get(context), floats(f()));
    device->attend_backward(shape, dense(q_in, queries, width), dense(k_in, tokens, key_width),
                            dense(v_in, tokens, key_width), dropout, trace,
                            dense(d_out, queries, width), {});
    expect_slopes(get(q_in), qs, d, f);
    expect_slopes(get(k_in), ks, d, f);
    expect_slopes(get(v_in), vs, d, f);
  }
}

TEST_P(DecoderLayers, TakeBlocksOfAVocabularyOfAtLeastOneRow) {
  EXPECT_EQ(device->vocabulary_rows(1, 50'000), 1u);
  EXPECT_GE(device->vocabulary_rows(100'000, 1'000'000), 1u);
  EXPECT_LE(device->vocabulary_rows(100'000, 50'000), 100'000u);
}

}  // namespace
}  // namespace rankfold
