#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/dropout.h"
#include "core/device/row_kernels.h"
#include "experiments/models/host.h"

// The parts of a post-norm encoder by their formulas, in double and one number at a time: what
// blocks and whole hosts are compared with. Gradients are central differences of them.

namespace rankfold::reference {

/// A matrix of its own.
struct Rows {
  Rows() = default;
  Rows(std::size_t row_count, std::size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count) {}
  explicit Rows(MatrixView<const float> matrix);
  double& at(std::size_t row, std::size_t column) { return values[row * columns + column]; }
  double at(std::size_t row, std::size_t column) const { return values[row * columns + column]; }

  std::size_t rows = 0, columns = 0;
  std::vector<double> values;
};

/// y = x W^T + b, by the adapter of its site where there is one.
struct Linear {
  std::vector<double> weight, bias;  ///< [out, in], [out]
  Adapter<double>* adapter = nullptr;
  std::size_t site = 0;

  Rows apply(const Rows& x) const;
};

/// (x - mean) / sqrt(variance + epsilon) * weight + shift of each row.
struct Norm {
  std::vector<double> weight, shift;
  double epsilon = 0;

  Rows apply(const Rows& x) const;
};

Rows sum(const Rows& a, const Rows& b);
Rows dropped(Rows x, const Dropout& dropout);
Rows activated(Rows x, HiddenActivation activation);
Rows first_rows(const Rows& x, std::span<const std::size_t> starts);

/// dropout(softmax(Q K^T / sqrt(d))) V by sequence and head; the masks' row is row * heads + head.
Rows attended(const Rows& q, const Rows& k, const Rows& v, std::size_t heads,
              std::span<const std::size_t> query_starts, std::span<const std::size_t> key_starts,
              const Dropout& dropout);

/// What relative positions add to scores of query i and key j: rows[j - i + rows.size() / 2] is the
/// row of both matrices, which may be empty.
struct RelativeTerms {
  std::vector<std::uint32_t> rows = {};
  Rows keys = {}, queries = {};
  double scale = 1;
};
/// attended with scores scale (q_i k_j + q_i keys_r + k_j queries_r); place i of a query counts
/// from the first one of its sequence.
Rows attended_relative(const Rows& q, const Rows& k, const Rows& v, std::size_t heads,
                       std::span<const std::size_t> query_starts,
                       std::span<const std::size_t> key_starts, const Dropout& dropout,
                       const RelativeTerms& terms);

/// How a layer's scores depend on relative positions; see RelativeAttention.
struct Relative {
  Rows embedding;
  std::vector<std::uint32_t> rows;
  bool keys = true, queries = true;
  std::optional<Linear> key_map = {},
                        query_map = {};  ///< the layer's own k and q where there is none
  double scale = 1;
};

/// a = LN(x + drop(o(attention(q(x), k(x), v(x))))), y = LN(a + drop(down(f(up(a))))).
struct EncoderLayer {
  std::vector<Linear> linears;  ///< q, k, v, o, up, down, or in_proj, o, up, down
  Norm attention_norm, output_norm;
  std::size_t heads = 1;
  HiddenActivation activation = HiddenActivation::gelu;
  std::optional<Relative> relative = {};

  /// The masks of one application.
  struct Dropouts {
    Dropout attention, attention_output, output, relative = {};
  };
  Rows apply(const Rows& x, std::span<const std::size_t> starts, const Dropouts& dropouts,
             bool first_rows_only) const;

 private:
  Rows attention(const Rows& x, const Rows& queries, std::span<const std::size_t> row_starts,
                 std::span<const std::size_t> starts, const Dropouts& dropouts) const;
};

/// map(dropout(LN(word + type + position))); positions as EmbeddingTables::padding says.
struct Embeddings {
  std::vector<double> words, positions, types;
  Norm norm;
  std::int32_t padding = -1;
  std::optional<Linear> map = {};

  Rows apply(std::span<const std::int32_t> ids, std::span<const std::int32_t> type_ids,
             std::span<const std::size_t> starts, const Dropout& dropout) const;
};

/// classifier(dropout(f(pooler(dropout(x))))), f tanh where there is no activation.
struct Head {
  Linear pooler, classifier;
  std::optional<HiddenActivation> activation = {};

  Rows apply(const Rows& x, const Dropout& dropout, const Dropout& input_dropout = {}) const;
};

/// Mean cross-entropy of class indices, or mean squared error against one target a row.
double loss(const Rows& logits, std::span<const float> labels, bool regression);

/// The sum of a's and b's products.
double dot(const Rows& a, const Rows& b);

/// (f(x + h) - f(x - h)) / 2h for every number x of `values`.
std::vector<double> central_differences(std::span<double> values, const std::function<double()>& f,
                                        double h = 1e-5);

/// |found - expected| / |expected|, Euclidean; |found| where nothing is expected.
double relative_error(std::span<const float> found, std::span<const double> expected);

/// Numbers N(0, deviation), the same for the same purpose, rounded to float.
std::vector<float> normal(std::size_t size, const std::string& purpose, double deviation = 1.0);
std::vector<double> in_double(std::span<const float> values);

/// An adapter in double with the method, stack, settings and numbers of one in float.
std::unique_ptr<Adapter<double>> in_double(const Adapter<float>& adapter, const std::string& method,
                                           const std::string& rank,
                                           const std::vector<Linear>& frozen);

}  // namespace rankfold::reference
