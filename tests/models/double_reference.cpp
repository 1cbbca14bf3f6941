#include "models/double_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/random.h"
#include "decompositions/registry.h"

namespace rankfold::reference {

Rows::Rows(MatrixView<const float> matrix) : Rows(matrix.rows, matrix.columns) {
  for (std::size_t i = 0; i < rows; ++i)
    std::copy_n(matrix.row(i), columns, values.begin() + static_cast<std::ptrdiff_t>(i * columns));
}

Rows Linear::apply(const Rows& x) const {
  const std::size_t out = bias.size();
  Rows y(x.rows, out);
  if (adapter) {
    adapter->forward(site, MatrixView<const double>(x.values.data(), x.rows, x.columns),
                     MatrixView<double>(y.values.data(), y.rows, out), nullptr);
    return y;
  }
  for (std::size_t i = 0; i < x.rows; ++i)
    for (std::size_t o = 0; o < out; ++o) {
      const double* row = weight.data() + o * x.columns;
      y.at(i, o) = std::inner_product(row, row + x.columns, &x.values[i * x.columns], bias[o]);
    }
  return y;
}

Rows Norm::apply(const Rows& x) const {
  Rows y(x.rows, x.columns);
  const auto n = static_cast<double>(x.columns);
  for (std::size_t i = 0; i < x.rows; ++i) {
    double mean = 0, variance = 0;
    for (std::size_t c = 0; c < x.columns; ++c) mean += x.at(i, c) / n;
    for (std::size_t c = 0; c < x.columns; ++c) variance += std::pow(x.at(i, c) - mean, 2) / n;
    for (std::size_t c = 0; c < x.columns; ++c)
      y.at(i, c) = (x.at(i, c) - mean) / std::sqrt(variance + epsilon) * weight[c] + shift[c];
  }
  return y;
}

Rows sum(const Rows& a, const Rows& b) {
  Rows y = a;
  for (std::size_t i = 0; i < y.values.size(); ++i) y.values[i] += b.values[i];
  return y;
}

Rows dropped(Rows x, const Dropout& dropout) {
  std::vector<float> keep(Dropout::padded_width(x.columns));
  for (std::size_t i = 0; i < x.rows; ++i) {
    dropout.factors(i, x.columns, keep.data());
    for (std::size_t c = 0; c < x.columns; ++c) x.at(i, c) *= keep[c];
  }
  return x;
}

Rows activated(Rows x, HiddenActivation activation) {
  for (double& value : x.values) {
    const double cubic = std::sqrt(2 / M_PI) * (value + 0.044715 * value * value * value);
    switch (activation) {
      case HiddenActivation::gelu:
        value *= 0.5 * std::erfc(-value / std::sqrt(2.0));
        break;
      case HiddenActivation::gelu_tanh:
        value *= 0.5 * (1 + std::tanh(cubic));
        break;
      case HiddenActivation::relu:
        value = std::max(value, 0.0);
        break;
      case HiddenActivation::silu:
        value /= 1 + std::exp(-value);
        break;
      case HiddenActivation::tanh:
        value = std::tanh(value);
        break;
    }
  }
  return x;
}

Rows first_rows(const Rows& x, std::span<const std::size_t> starts) {
  Rows y(starts.size() - 1, x.columns);
  for (std::size_t s = 0; s < y.rows; ++s)
    for (std::size_t c = 0; c < x.columns; ++c) y.at(s, c) = x.at(starts[s], c);
  return y;
}

Rows attended(const Rows& q, const Rows& k, const Rows& v, std::size_t heads,
              std::span<const std::size_t> query_starts, std::span<const std::size_t> key_starts,
              const Dropout& dropout) {
  RelativeTerms terms;
  terms.scale = 1 / std::sqrt(static_cast<double>(q.columns / heads));
  return attended_relative(q, k, v, heads, query_starts, key_starts, dropout, terms);
}

Rows attended_relative(const Rows& q, const Rows& k, const Rows& v, std::size_t heads,
                       std::span<const std::size_t> query_starts,
                       std::span<const std::size_t> key_starts, const Dropout& dropout,
                       const RelativeTerms& terms) {
  const std::size_t d = q.columns / heads;
  Rows context(q.rows, q.columns);
  for (std::size_t s = 0; s + 1 < key_starts.size(); ++s)
    for (std::size_t h = 0; h < heads; ++h)
      for (std::size_t i = query_starts[s]; i < query_starts[s + 1]; ++i) {
        const std::size_t first = key_starts[s], count = key_starts[s + 1] - first;
        std::vector<float> keep(Dropout::padded_width(count));
        dropout.factors(i * heads + h, count, keep.data());
        std::vector<double> p(count);
        double total = 0;
        for (std::size_t j = 0; j < count; ++j) {
          double score = 0;
          for (std::size_t c = h * d; c < (h + 1) * d; ++c) {
            score += q.at(i, c) * k.at(first + j, c);
            const std::size_t row =
                terms.rows.empty() ? 0
                                   : terms.rows[j + terms.rows.size() / 2 - (i - query_starts[s])];
            if (terms.keys.rows > 0) score += q.at(i, c) * terms.keys.at(row, c);
            if (terms.queries.rows > 0) score += k.at(first + j, c) * terms.queries.at(row, c);
          }
          total += p[j] = std::exp(score * terms.scale);
        }
        for (std::size_t j = 0; j < count; ++j)
          for (std::size_t c = h * d; c < (h + 1) * d; ++c)
            context.at(i, c) += p[j] / total * keep[j] * v.at(first + j, c);
      }
  return context;
}

namespace {

/// Part 0, 1 or 2 (q, k, v) of a fused projection, which has those of each head after another.
Rows part_of(const Rows& fused, std::size_t heads, std::size_t part) {
  const std::size_t hidden = fused.columns / 3, d = hidden / heads;
  Rows y(fused.rows, hidden);
  for (std::size_t i = 0; i < y.rows; ++i)
    for (std::size_t c = 0; c < hidden; ++c)
      y.at(i, c) = fused.at(i, c / d * 3 * d + part * d + c % d);
  return y;
}

}  // namespace

Rows EncoderLayer::attention(const Rows& x, const Rows& queries,
                             std::span<const std::size_t> row_starts,
                             std::span<const std::size_t> starts, const Dropouts& dropouts) const {
  const bool fused = linears.size() == 4;
  const auto project = [&](const Rows& rows, std::size_t part) {
    return fused ? part_of(linears[0].apply(rows), heads, part) : linears[part].apply(rows);
  };
  const Rows q = project(queries, 0), k = project(x, 1), v = project(x, 2);
  if (!relative) return attended(q, k, v, heads, row_starts, starts, dropouts.attention);
  const Rows embedding = dropped(relative->embedding, dropouts.relative);
  RelativeTerms terms{relative->rows, {}, {}, relative->scale};
  if (relative->keys)
    terms.keys = (relative->key_map ? *relative->key_map : linears[1]).apply(embedding);
  if (relative->queries)
    terms.queries = (relative->query_map ? *relative->query_map : linears[0]).apply(embedding);
  return attended_relative(q, k, v, heads, row_starts, starts, dropouts.attention, terms);
}

Rows EncoderLayer::apply(const Rows& x, std::span<const std::size_t> starts,
                         const Dropouts& dropouts, bool first_rows_only) const {
  std::vector<std::size_t> row_starts(starts.begin(), starts.end());
  if (first_rows_only) std::iota(row_starts.begin(), row_starts.end(), std::size_t{0});
  const Rows queries = first_rows_only ? first_rows(x, starts) : x;
  const Rows context = attention(x, queries, row_starts, starts, dropouts);
  const std::size_t o = linears.size() - 3;
  const Rows a = attention_norm.apply(
      sum(queries, dropped(linears[o].apply(context), dropouts.attention_output)));
  const Rows inner = activated(linears[o + 1].apply(a), activation);
  return output_norm.apply(sum(a, dropped(linears[o + 2].apply(inner), dropouts.output)));
}

Rows Embeddings::apply(std::span<const std::int32_t> ids, std::span<const std::int32_t> type_ids,
                       std::span<const std::size_t> starts, const Dropout& dropout) const {
  const std::size_t hidden = norm.weight.size();
  Rows x(ids.size(), hidden);
  for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
    auto next = static_cast<std::size_t>(padding + 1);
    for (std::size_t t = starts[s]; t < starts[s + 1]; ++t) {
      const std::size_t position = ids[t] == padding ? static_cast<std::size_t>(padding) : next++;
      for (std::size_t c = 0; c < hidden; ++c) {
        x.at(t, c) = words[static_cast<std::size_t>(ids[t]) * hidden + c];
        if (!types.empty()) x.at(t, c) += types[static_cast<std::size_t>(type_ids[t]) * hidden + c];
        if (!positions.empty()) x.at(t, c) += positions[position * hidden + c];
      }
    }
  }
  const Rows narrow = dropped(norm.apply(x), dropout);
  return map ? map->apply(narrow) : narrow;
}

Rows Head::apply(const Rows& x, const Dropout& dropout, const Dropout& input_dropout) const {
  Rows pooled = pooler.apply(dropped(x, input_dropout));
  if (activation) pooled = activated(std::move(pooled), *activation);
  if (!activation)
    for (double& value : pooled.values) value = std::tanh(value);
  return classifier.apply(dropped(std::move(pooled), dropout));
}

double loss(const Rows& logits, std::span<const float> labels, bool regression) {
  double total = 0;
  const auto rows = static_cast<double>(logits.rows), columns = static_cast<double>(logits.columns);
  for (std::size_t i = 0; i < logits.rows; ++i) {
    double exponentials = 0;
    for (std::size_t c = 0; c < logits.columns; ++c) {
      exponentials += std::exp(logits.at(i, c));
      if (regression) total += std::pow(logits.at(i, c) - labels[i], 2) / rows / columns;
    }
    if (!regression)
      total += (std::log(exponentials) - logits.at(i, static_cast<std::size_t>(labels[i]))) / rows;
  }
  return total;
}

double dot(const Rows& a, const Rows& b) {
  return std::inner_product(a.values.begin(), a.values.end(), b.values.begin(), 0.0);
}

std::vector<double> central_differences(std::span<double> values, const std::function<double()>& f,
                                        double h) {
  std::vector<double> slopes;
  slopes.reserve(values.size());
  for (double& value : values) {
    const double at = value;
    value = at + h;
    const double above = f();
    value = at - h;
    slopes.push_back((above - f()) / (2 * h));
    value = at;
  }
  return slopes;
}

double relative_error(std::span<const float> found, std::span<const double> expected) {
  if (found.size() != expected.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    difference += std::pow(found[i] - expected[i], 2);
    norm += std::pow(expected[i], 2);
  }
  return std::sqrt(norm > 0 ? difference / norm : difference);
}

std::vector<float> normal(std::size_t size, const std::string& purpose, double deviation) {
  std::vector<float> values(size);
  RandomStream(1, purpose).fill_normal(std::span(values), 0.0, deviation);
  return values;
}

std::vector<double> in_double(std::span<const float> values) {
  return {values.begin(), values.end()};
}

std::unique_ptr<Adapter<double>> in_double(const Adapter<float>& adapter, const std::string& method,
                                           const std::string& rank,
                                           const std::vector<Linear>& frozen) {
  const Registry registry = builtin_registry();
  const Method& found = registry.at(method);
  MethodRequest request;
  if (found.has_rank) request.rank = rank;
  auto result = make_adapter<double>(
      found, adapter.stack(), resolve_settings(found, request, adapter.stack()), make_cpu_device());
  for (std::size_t i = 0; i < result->parameters().size(); ++i)
    std::ranges::copy(adapter.parameters()[i].value.span(),
                      result->parameters()[i].value.span().begin());
  std::vector<FrozenLinear<double>> layers;
  for (const Linear& linear : frozen) {
    FrozenLinear<double>& layer = layers.emplace_back();
    layer.weight = linear.weight.data();
    layer.bias = linear.bias.data();
  }
  result->set_frozen(std::move(layers));
  return result;
}

}  // namespace rankfold::reference
