#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/device/dropout.h"
#include "core/device/layer_operations.h"
#include "every_device.h"

// Attention with relative positions on every device, against loops in double.

namespace rankfold {
namespace {

class RelativeAttentionOf : public EveryDevice {
 protected:
  static std::vector<float> numbers(std::size_t size, const std::string& purpose) {
    return random<float>(size, purpose);
  }
  static MatrixView<float> dense(Buffer<float>& buffer, std::size_t height, std::size_t width) {
    return {buffer.data(), height, width};
  }
  static std::vector<float> in_float(const std::vector<double>& x) { return {x.begin(), x.end()}; }
};

INSTANTIATE_TEST_SUITE_P(Devices, RelativeAttentionOf, testing::Values("cpu", "test"),
                         [](const auto& name) { return name.param; });

/// An attention with relative positions and its gradients by the formula, in double.
struct RelativeFormula {
  std::size_t heads, head_dim, stride;  ///< columns from one head to the next of q, k and v
  std::vector<std::size_t> query_starts, starts;
  std::vector<std::uint32_t> rows_of_offset;
  double scale;
  Dropout dropout;
  std::vector<float> q, k, v, keys, queries;  ///< rows of heads * stride, of heads * head_dim
  std::vector<float> d_context;

  struct Result {
    std::vector<double> context, dq, dk, dv, d_keys, d_queries;
  };
  Result compute() const {
    Result result{std::vector<double>(d_context.size()), std::vector<double>(q.size()),
                  std::vector<double>(k.size()),         std::vector<double>(v.size()),
                  std::vector<double>(keys.size()),      std::vector<double>(queries.size())};
    for (std::size_t s = 0; s + 1 < starts.size(); ++s)
      for (std::size_t h = 0; h < heads; ++h)
        for (std::size_t i = query_starts[s]; i < query_starts[s + 1]; ++i)
          add_query(s, h, i, result);
    return result;
  }

 private:
  /// Of query i, in head h of sequence s.
  void add_query(std::size_t s, std::size_t h, std::size_t i, Result& result) const {
    const std::size_t count = starts[s + 1] - starts[s], hidden = heads * head_dim,
                      at_q = i * heads * stride + h * stride,
                      at_context = i * hidden + h * head_dim;
    const auto at_k = [&](std::size_t j) { return (starts[s] + j) * heads * stride + h * stride; };
    const auto at_positions = [&](std::size_t j) {
      return rows_of_offset[j + rows_of_offset.size() / 2 - (i - query_starts[s])] * hidden +
             h * head_dim;
    };
    const auto of = [](const std::vector<float>& positions, std::size_t index) {
      return positions.empty() ? 0.0 : double{positions[index]};
    };
    std::vector<float> keep(Dropout::padded_width(count));
    dropout.factors(i * heads + h, count, keep.data());
    std::vector<double> p(count), dp(count);
    double total = 0, slope = 0;
    for (std::size_t j = 0; j < count; ++j) {
      double score = 0;
      for (std::size_t c = 0; c < head_dim; ++c) {
        const double of_q = q[at_q + c], of_k = k[at_k(j) + c];
        score +=
            of_q * (of_k + of(keys, at_positions(j) + c)) + of_k * of(queries, at_positions(j) + c);
        dp[j] += keep[j] * double{d_context[at_context + c]} * v[at_k(j) + c];
      }
      total += p[j] = std::exp(scale * score);
    }
    for (std::size_t j = 0; j < count; ++j) slope += (p[j] /= total) * dp[j];
    for (std::size_t j = 0; j < count; ++j) {
      const double ds = scale * p[j] * (dp[j] - slope);
      for (std::size_t c = 0; c < head_dim; ++c) {
        const double of_q = q[at_q + c], of_k = k[at_k(j) + c];
        const std::size_t position = at_positions(j) + c;
        result.context[at_context + c] += p[j] * keep[j] * v[at_k(j) + c];
        result.dq[at_q + c] += ds * (of_k + of(keys, position));
        result.dk[at_k(j) + c] += ds * (of_q + of(queries, position));
        result.dv[at_k(j) + c] += p[j] * keep[j] * d_context[at_context + c];
        if (!keys.empty()) result.d_keys[position] += ds * of_q;
        if (!queries.empty()) result.d_queries[position] += ds * of_k;
      }
    }
  }
};

TEST_P(RelativeAttentionOf, SequencesIsTheFormulaAndHasItsGradients) {
  constexpr std::size_t heads = 2, head_dim = 3, hidden = heads * head_dim, longest = 150,
                        tokens = 175, positions = 250;
  // Longer than a block, more sequences than parts, and rows that distances share.
  const std::vector<std::size_t> starts = {0, longest, 151, 152, 153, 154, 155, 157, 160, tokens};
  std::vector<std::size_t> firsts(starts.size());
  std::iota(firsts.begin(), firsts.end(), std::size_t{0});
  std::vector<std::uint32_t> rows_of_offset;
  for (std::uint32_t i = 0; i < 2 * longest - 1; ++i)
    rows_of_offset.push_back(i < 50 ? i / 2 : std::min<std::uint32_t>(i - 25, positions - 1));
  const Dropout dropout(0.25, 1, "place", 2);
  struct Terms {
    bool first_rows, keys, queries, apart;
  };
  for (const Terms& terms : {Terms{false, true, true, false}, Terms{true, true, true, true},
                             Terms{false, true, false, true}, Terms{false, false, true, true},
                             Terms{false, false, false, true}}) {
    const std::vector<std::size_t>& query_starts = terms.first_rows ? firsts : starts;
    const std::size_t queries = query_starts.back(), stride = terms.apart ? head_dim + 2 : head_dim,
                      width = heads * stride;
    const auto q = numbers(queries * width, "q"), k = numbers(tokens * width, "k"),
               v = numbers(tokens * width, "v"), d = numbers(queries * hidden, "d"),
               of_keys = numbers(positions * hidden, "keys"),
               of_queries = numbers(positions * hidden, "queries");
    const RelativeFormula formula{heads,
                                  head_dim,
                                  stride,
                                  query_starts,
                                  starts,
                                  rows_of_offset,
                                  0.5,
                                  dropout,
                                  q,
                                  k,
                                  v,
                                  terms.keys ? of_keys : std::vector<float>(),
                                  terms.queries ? of_queries : std::vector<float>(),
                                  d};
    const RelativeFormula::Result expected = formula.compute();
    Buffer<float> q_memory = put(q), k_memory = put(k), v_memory = put(v), d_context = put(d),
                  context(device, queries * hidden), key_rows = put(of_keys),
                  query_rows = put(of_queries), d_keys = put(of_keys), d_queries = put(of_keys);
    const std::size_t kept_stride = kept_bytes(longest);
    const Buffer<float> memory(device, queries * heads * (2 + kept_stride / sizeof(float)));
    float* const kept = const_cast<float*>(memory.data());
    const AttentionTrace trace{reinterpret_cast<SoftmaxSums*>(kept),
                               reinterpret_cast<unsigned char*>(kept + 2 * queries * heads),
                               kept_stride};
    const AttentionShape shape{heads, head_dim, query_starts, starts};
    const auto of = [&](bool wanted, Buffer<float>& buffer) {
      return wanted ? dense(buffer, positions, hidden) : MatrixView<float>();
    };
    const RelativeScores relative{0.5f, stride, rows_of_offset, of(terms.keys, key_rows),
                                  of(terms.queries, query_rows)};
    const auto q_view = dense(q_memory, queries, width), k_view = dense(k_memory, tokens, width),
               v_view = dense(v_memory, tokens, width);
    device->attend_relative(shape, relative, q_view, k_view, v_view, dropout, trace,
                            dense(context, queries, hidden));
    expect_close(get(context), in_float(expected.context));
    // Numbers between the heads stay as they are.
    const auto around = [&](const std::vector<double>& gradient, const std::vector<float>& before) {
      std::vector<float> result = in_float(gradient);
      for (std::size_t i = 0; i < result.size(); ++i)
        if (i % stride >= head_dim) result[i] = before[i];
      return result;
    };
    device->attend_relative_backward(shape, relative, q_view, k_view, v_view, dropout, trace,
                                     dense(d_context, queries, hidden), {true, true, true},
                                     of(terms.keys, d_keys), of(terms.queries, d_queries));
    expect_close(get(q_memory), around(expected.dq, q));
    expect_close(get(k_memory), around(expected.dk, k));
    expect_close(get(v_memory), around(expected.dv, v));
    if (terms.keys) expect_close(get(d_keys), in_float(expected.d_keys));
    if (terms.queries) expect_close(get(d_queries), in_float(expected.d_queries));

    // What is not wanted stays as it is, and positions have their gradients all the same.
    Buffer<float> q_again = put(q), k_again = put(k), v_again = put(v), d_again = put(of_keys);
    device->attend_relative_backward(shape, relative, dense(q_again, queries, width),
                                     dense(k_again, tokens, width), dense(v_again, tokens, width),
                                     dropout, trace, dense(d_context, queries, hidden),
                                     {false, false, true}, of(terms.keys, d_again), {});
    EXPECT_EQ(get(q_again), q);
    EXPECT_EQ(get(k_again), k);
    EXPECT_EQ(get(v_again), get(v_memory));
    if (terms.keys) expect_close(get(d_again), get(d_keys));
  }
}

TEST_P(RelativeAttentionOf, SequencesHasTheSameBitsOnAnyNumberOfThreads) {
  constexpr std::size_t heads = 3, head_dim = 4, hidden = heads * head_dim, tokens = 300;
  const std::vector<std::size_t> starts = {0, 100, 101, 180, 200, 210, 211, 212, 213, 214, tokens};
  std::vector<std::uint32_t> rows_of_offset(2 * 100 - 1);
  std::iota(rows_of_offset.begin(), rows_of_offset.end(), 0u);
  const std::size_t positions = rows_of_offset.size();
  const int threads = kernel_report().threads;
  std::vector<std::vector<float>> found;
  for (const int count : {1, 3}) {
    set_threads(count);
    Buffer<float> q = put(numbers(tokens * hidden, "q")), k = put(numbers(tokens * hidden, "k")),
                  v = put(numbers(tokens * hidden, "v")),
                  keys = put(numbers(positions * hidden, "keys")),
                  d_context = put(numbers(tokens * hidden, "d")), context(device, tokens * hidden),
                  d_keys(device, positions * hidden), d_queries(device, positions * hidden),
                  sums(device, 2 * tokens * heads);
    const AttentionTrace trace{reinterpret_cast<SoftmaxSums*>(sums.data()), nullptr, 0};
    const auto of = [&](Buffer<float>& buffer) { return dense(buffer, tokens, hidden); };
    const auto of_positions = [&](Buffer<float>& buffer) {
      return dense(buffer, positions, hidden);
    };
    const RelativeScores relative{0.5f, head_dim, rows_of_offset, of_positions(keys),
                                  of_positions(keys)};
    const AttentionShape shape{heads, head_dim, starts, starts};
    device->attend_relative(shape, relative, of(q), of(k), of(v), Dropout(), trace, of(context));
    device->attend_relative_backward(shape, relative, of(q), of(k), of(v), Dropout(), trace,
                                     of(d_context), {}, of_positions(d_keys),
                                     of_positions(d_queries));
    std::vector<float>& all = found.emplace_back();
    for (const Buffer<float>* buffer : {&context, &q, &k, &v, &d_keys, &d_queries}) {
      const std::vector<float> values = get(*buffer);
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  set_threads(threads);
  EXPECT_EQ(found[0], found[1]);
}

}  // namespace
}  // namespace rankfold
