#pragma once

#include <cmath>
#include <cstddef>
#include <numeric>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "models/double_reference.h"

// The parts of a pre-norm decoder by their formulas, in double and one number at a time.

namespace rankfold::reference {

/// A layer norm, or an RMS norm where not centred, of each `weight.size()` columns.
struct PartNorm {
  std::vector<double> weight, shift;  ///< shift may be empty
  double epsilon = 0;
  bool centred = true;

  Rows apply(Rows x) const {
    const std::size_t width = weight.size();
    const auto n = static_cast<double>(width);
    for (std::size_t begin = 0; begin < x.values.size(); begin += width) {
      double* const row = &x.values[begin];
      const double mean = centred ? std::accumulate(row, row + width, 0.0) / n : 0;
      double variance = 0;
      for (std::size_t j = 0; j < width; ++j) variance += std::pow(row[j] - mean, 2) / n;
      for (std::size_t j = 0; j < width; ++j)
        row[j] = (row[j] - mean) / std::sqrt(variance + epsilon) * weight[j] +
                 (shift.empty() ? 0 : shift[j]);
    }
    return x;
  }
};

/// a = x + drop(o(attention(q(n), k(n), v(n)))), n = norm(x); y = a + drop(feed_forward(norm(a))).
struct DecoderLayer {
  std::vector<Linear> linears;  ///< q, k, v, o, gate where it is gated, up, down
  std::optional<Linear> whole;  ///< q, k and v where they are one
  PartNorm attention_norm, feed_forward_norm;
  PartNorm query_norm, key_norm;  ///< of heads; without weight where there are none
  std::vector<double> angles;     ///< of each pair at position 1; empty: nothing is turned
  std::size_t heads = 1, key_value_heads = 1, window = 0;
  HiddenActivation activation = HiddenActivation::silu;

  struct Dropouts {
    Dropout attention, attention_output, output;
  };

  Rows turned(Rows x, std::span<const std::size_t> positions) const {
    const std::size_t half = angles.size();
    for (std::size_t i = 0; half > 0 && i < x.rows; ++i)
      for (std::size_t begin = 0; begin < x.columns; begin += 2 * half)
        for (std::size_t pair = 0; pair < half; ++pair) {
          const double angle = angles[pair] * static_cast<double>(positions[i]);
          double &first = x.at(i, begin + pair), &second = x.at(i, begin + half + pair);
          const double old = first;
          first = old * std::cos(angle) - second * std::sin(angle);
          second = second * std::cos(angle) + old * std::sin(angle);
        }
    return x;
  }

  /// Of queries that are the last of their sequences.
  Rows attended(const Rows& q, const Rows& k, const Rows& v,
                std::span<const std::size_t> query_starts, std::span<const std::size_t> starts,
                const Dropout& dropout) const {
    const std::size_t d = q.columns / heads;
    Rows context(q.rows, q.columns);
    for (std::size_t s = 0; s + 1 < starts.size(); ++s)
      for (std::size_t i = query_starts[s]; i < query_starts[s + 1]; ++i)
        for (std::size_t h = 0; h < heads; ++h) {
          const std::size_t end = starts[s + 1] - (query_starts[s + 1] - i) + 1;
          const std::size_t begin =
              window > 0 && end - starts[s] > window ? end - window : starts[s];
          const std::size_t column = h * key_value_heads / heads * d;
          std::vector<float> keep(Dropout::padded_width(end - starts[s]));
          dropout.factors(i * heads + h, end - starts[s], keep.data());
          std::vector<double> p;
          for (std::size_t j = begin; j < end; ++j) {
            double score = 0;
            for (std::size_t c = 0; c < d; ++c) score += q.at(i, h * d + c) * k.at(j, column + c);
            p.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
          }
          const double total = std::accumulate(p.begin(), p.end(), 0.0);
          for (std::size_t j = begin; j < end; ++j)
            for (std::size_t c = 0; c < d; ++c)
              context.at(i, h * d + c) +=
                  p[j - begin] / total * keep[j - starts[s]] * v.at(j, column + c);
        }
    return context;
  }

  Rows fed_forward(const Rows& x) const {
    if (linears.size() == 6) return linears[5].apply(activated(linears[4].apply(x), activation));
    Rows gate = activated(linears[4].apply(x), activation);
    const Rows up = linears[5].apply(x);
    for (std::size_t i = 0; i < gate.values.size(); ++i) gate.values[i] *= up.values[i];
    return linears[6].apply(gate);
  }

  Rows apply(const Rows& x, std::span<const std::size_t> starts, const Dropouts& dropouts,
             bool last_rows_only) const {
    std::vector<std::size_t> positions, rows, query_positions, query_starts(starts.size());
    for (std::size_t s = 0; s + 1 < starts.size(); ++s) {
      const std::size_t length = starts[s + 1] - starts[s];
      for (std::size_t place = 0; place < length; ++place) {
        positions.push_back(place);
        if (last_rows_only && place + 1 < length) continue;
        rows.push_back(starts[s] + place);
        query_positions.push_back(place);
      }
      query_starts[s + 1] = rows.size();
    }
    const auto chosen = [&](const Rows& all) {
      Rows part(rows.size(), all.columns);
      for (std::size_t i = 0; i < rows.size(); ++i)
        for (std::size_t c = 0; c < all.columns; ++c) part.at(i, c) = all.at(rows[i], c);
      return part;
    };
    const Rows normed = attention_norm.apply(x);
    const std::size_t queries = linears[0].bias.size(), keys = linears[1].bias.size();
    const auto projected = [&](std::size_t part, std::size_t first, std::size_t width,
                               const Rows& of) {
      if (!whole) return linears[part].apply(of);
      const Rows all = whole->apply(of);
      Rows range(of.rows, width);
      for (std::size_t i = 0; i < of.rows; ++i)
        for (std::size_t c = 0; c < width; ++c) range.at(i, c) = all.at(i, first + c);
      return range;
    };
    Rows q = projected(0, 0, queries, chosen(normed)), k = projected(1, queries, keys, normed);
    if (!query_norm.weight.empty()) {
      q = query_norm.apply(std::move(q));
      k = key_norm.apply(std::move(k));
    }
    const Rows context = attended(
        turned(std::move(q), query_positions), turned(std::move(k), positions),
        projected(2, queries + keys, keys, normed), query_starts, starts, dropouts.attention);
    const Rows a = sum(chosen(x), dropped(linears[3].apply(context), dropouts.attention_output));
    return sum(a, dropped(fed_forward(feed_forward_norm.apply(a)), dropouts.output));
  }
};

}  // namespace rankfold::reference
