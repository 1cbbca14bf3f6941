#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/device/row_kernels.h"
#include "core/device/views.h"

namespace rankfold {

class Bfloat16Weight;
class Dropout;

/// Packed sequences: rows starts[s] .. starts[s+1] of a matrix belong to sequence s.
using SequenceStarts = std::span<const std::size_t>;

/// Sequence s goes on from the whole of sequence prefixes[s], from none where that is no_prefix;
/// where it is empty, none has a prefix.
using SequencePrefixes = std::span<const std::size_t>;
inline constexpr std::size_t no_prefix = SIZE_MAX;
inline bool has_prefix(SequencePrefixes prefixes, std::size_t s) {
  return !prefixes.empty() && prefixes[s] != no_prefix;
}

/// Weights of a norm over the columns of a matrix: (x - mean) / sqrt(variance + epsilon) * weight +
/// shift.
struct NormWeights {
  const float* weight = nullptr;
  const float* shift = nullptr;
  float epsilon = 0;
  // Of `normalise` and what belongs to it alone, where shift may be null (0).
  bool centred = true;     ///< an RMS norm takes the mean as 0
  std::size_t groups = 1;  ///< so many equal parts of a row are normalised apart (heads)
};

/// What a norm keeps for its backward; without memory where no backward follows.
struct NormTrace {
  MatrixView<float> normalised;        ///< (s - mean(s)) / deviation(s) of each row s
  float* deviation_inverse = nullptr;  ///< of each row

  /// That of `count` rows from `first` on.
  NormTrace range(std::size_t first, std::size_t count) const {
    if (!normalised.data) return {};
    return {{normalised.row(first), count, normalised.columns, normalised.stride},
            deviation_inverse + first};
  }
};

/// What an attention keeps of its forward in place of its probabilities, for row i and head h in
/// row i * heads + h; without memory where no backward follows.
struct AttentionTrace {
  SoftmaxSums* sums = nullptr;
  unsigned char* kept_keys = nullptr;  ///< one bit a key that dropout kept; null without dropout
  std::size_t kept_stride = 0;         ///< bytes a row
  explicit operator bool() const { return sums != nullptr; }
};

/// Heads side by side in the columns, head_dim columns a head. Queries may be a part of the rows
/// only (the pooled token of each sequence; none), so they have their own starts.
///
/// Where `causal`, the queries are the last tokens of their sequence (all of them, or what follows
/// a cache), and each sees its own key and those before it, at most `window` of them where that is
/// not 0. Before the keys of sequence s lie those of sequence prefixes[s], where there is one: one
/// that comes earlier and has no prefix itself. Head h of the queries reads head
/// h * key_value_heads / heads of keys and values; 0: as many as heads.
struct AttentionShape {
  std::size_t heads = 0, head_dim = 0;
  SequenceStarts query_starts, key_starts;
  std::size_t key_value_heads = 0;
  bool causal = false;
  std::size_t window = 0;
  SequencePrefixes prefixes = {};

  std::size_t sequences() const { return key_starts.size() - 1; }
  /// Keys before those of sequence s itself, and all of its keys.
  std::size_t prefix_keys(std::size_t s) const {
    return has_prefix(prefixes, s) ? own_keys(prefixes[s]) : 0;
  }
  std::size_t keys(std::size_t s) const { return prefix_keys(s) + own_keys(s); }
  std::size_t own_keys(std::size_t s) const { return key_starts[s + 1] - key_starts[s]; }
};

/// Which gradients of an attention are wanted.
struct AttentionGradients {
  bool q = true, k = true, v = true;
};

/// How scores of an attention depend on relative positions (DeBERTa). Query i and key j of a
/// sequence meet row r = rows[j - i + rows.size() / 2] of `keys` and `queries`:
///     score = scale (q_i k_j + q_i keys_r + k_j queries_r).
struct RelativeScores {
  float scale = 1;
  /// Columns from one head to the next in q, k and v, which may lie in one matrix head by head; in
  /// all other matrices heads lie side by side.
  std::size_t head_stride = 0;
  /// The host's: of offsets -(n - 1) .. n - 1 for n at least the longest sequence; from one to the
  /// next a row stays or rises by one.
  std::span<const std::uint32_t> rows;
  /// [rows, heads * head_dim]; without memory where there is no such term.
  MatrixView<const float> keys, queries;
};

/// Embeddings that are summed: rows of tables [.., hidden]; positions and types may be null (0).
struct EmbeddingTables {
  const float* words = nullptr;
  const float* positions = nullptr;
  const float* types = nullptr;
  /// Positions of a sequence count from padding + 1 on, and tokens that are `padding` do not count:
  /// they have position `padding` (RoBERTa). -1: every token counts, from 0 on.
  std::int32_t padding = -1;
};

/// Cosines and sines [positions, half] of the angles that rotary positions turn pairs by.
struct TurnTable {
  const float* cosines = nullptr;
  const float* sines = nullptr;
  std::size_t half = 0;  ///< pairs of a head, whose columns are 2 half
};

/// What the layers of a network compute on a device, in float. Matrices and pointers are the
/// device's memory, spans are the host's. Outputs overwrite unless said otherwise, and share no
/// memory with an input but where it says so. Results depend on no number of threads.
class LayerOperations {
 public:
  virtual ~LayerOperations() = default;

  // Rows.

  /// to[i] = from[rows[i]].
  virtual void gather_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                           MatrixView<float> to) const = 0;
  /// to[rows[i]] += from[i]; rows may repeat.
  virtual void add_to_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                           MatrixView<float> to) const = 0;
  /// sums[j] += sum over i of x[i,j].
  virtual void add_column_sums(MatrixView<const float> x, float* sums) const = 0;
  /// x = x * factors, element by element.
  virtual void multiply_matrix(MatrixView<const float> factors, MatrixView<float> x) const = 0;
  /// x = x * the dropout's factors.
  virtual void apply_dropout(const Dropout& dropout, MatrixView<float> x) const = 0;
  /// x = tanh(x).
  virtual void tanh(MatrixView<float> x) const = 0;
  /// d = d (1 - y^2), for y = tanh(x).
  virtual void tanh_backward(MatrixView<const float> y, MatrixView<float> d) const = 0;
  /// out = f(gate) * up.
  virtual void gated(HiddenActivation activation, MatrixView<const float> gate,
                     MatrixView<const float> up, MatrixView<float> out) const = 0;
  /// gate and up become their gradients, from d = dLoss/dout.
  virtual void gated_backward(HiddenActivation activation, MatrixView<const float> d,
                              MatrixView<float> gate, MatrixView<float> up) const = 0;
  /// value = f(x + bias), x = f'(x + bias) where `keep`; bias may be null (taken as 0).
  virtual void activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
                        MatrixView<float> value, bool keep) const = 0;

  // Norms.

  /// out = norm(residual + dropout(z + bias)); bias may be null (taken as 0), residual without
  /// memory. Fills the trace, whose `normalised` may be z.
  virtual void add_and_normalise(const NormWeights& norm, MatrixView<const float> z,
                                 const float* bias, const Dropout& dropout,
                                 MatrixView<const float> residual, const NormTrace& trace,
                                 MatrixView<float> out) const = 0;
  /// out = normalised * weight + shift: that of add_and_normalise again.
  virtual void scale_and_shift(const NormWeights& norm, MatrixView<const float> normalised,
                               MatrixView<float> out) const = 0;
  /// d_residual (may be d_out) and dz of add_and_normalise from dLoss/dout.
  virtual void add_and_normalise_backward(const NormWeights& norm, const Dropout& dropout,
                                          MatrixView<const float> d_out, const NormTrace& trace,
                                          MatrixView<float> d_residual,
                                          MatrixView<float> dz) const = 0;
  /// weight_gradient += sum over rows of d_out * normalised, shift_gradient += that of d_out.
  virtual void add_norm_gradients(MatrixView<const float> d_out, MatrixView<const float> normalised,
                                  float* weight_gradient, float* shift_gradient) const = 0;

  // Norms before a layer's parts: the sums that go around the parts are kept, nothing else.

  /// sum = residual + dropout(z + bias), and out = norm(sum) where `out` has memory. bias may be
  /// null (0); sum may be residual.
  virtual void add_residual_and_normalise(const NormWeights& norm, MatrixView<const float> z,
                                          const float* bias, const Dropout& dropout,
                                          MatrixView<const float> residual, MatrixView<float> sum,
                                          MatrixView<float> out) const = 0;
  /// out = norm(x); out may be x.
  virtual void normalise(const NormWeights& norm, MatrixView<const float> x,
                         MatrixView<float> out) const = 0;
  /// dLoss/dx of normalise from dLoss/dout, added to dx where `add`; dx may be d_out.
  virtual void normalise_backward(const NormWeights& norm, MatrixView<const float> d_out,
                                  MatrixView<const float> x, bool add,
                                  MatrixView<float> dx) const = 0;
  /// Adds dLoss/dweight, and dLoss/dshift where that is not null, of normalise.
  virtual void add_normalise_gradients(const NormWeights& norm, MatrixView<const float> d_out,
                                       MatrixView<const float> x, float* weight_gradient,
                                       float* shift_gradient) const = 0;

  // Attention.

  /// Turns columns i and half + i of every head of x by angle i of row positions[row] of the table,
  /// in place; back by it where `back`.
  virtual void turn(const TurnTable& table, std::span<const std::size_t> positions, bool back,
                    MatrixView<float> x) const = 0;
  /// context = dropout(softmax(Q K^T / sqrt(head_dim))) V by sequence and head; the masks' row is
  /// row * heads + head. Fills the trace.
  virtual void attend(const AttentionShape& shape, MatrixView<const float> q,
                      MatrixView<const float> k, MatrixView<const float> v, const Dropout& dropout,
                      const AttentionTrace& trace, MatrixView<float> context) const = 0;
  /// q, k and v become their gradients in place; those not wanted are left as they are.
  virtual void attend_backward(const AttentionShape& shape, MatrixView<float> q,
                               MatrixView<float> k, MatrixView<float> v, const Dropout& dropout,
                               const AttentionTrace& trace, MatrixView<const float> d_context,
                               AttentionGradients wanted) const = 0;
  /// attend with scores that depend on relative positions; queries that are a part of the rows are
  /// the first ones of their sequences.
  virtual void attend_relative(const AttentionShape& shape, const RelativeScores& relative,
                               MatrixView<const float> q, MatrixView<const float> k,
                               MatrixView<const float> v, const Dropout& dropout,
                               const AttentionTrace& trace, MatrixView<float> context) const = 0;
  /// q, k and v become their gradients as in attend_backward; d_keys and d_queries, those of the
  /// positions, overwrite, and are left out without memory.
  virtual void attend_relative_backward(const AttentionShape& shape, const RelativeScores& relative,
                                        MatrixView<float> q, MatrixView<float> k,
                                        MatrixView<float> v, const Dropout& dropout,
                                        const AttentionTrace& trace,
                                        MatrixView<const float> d_context,
                                        AttentionGradients wanted, MatrixView<float> d_keys,
                                        MatrixView<float> d_queries) const = 0;

  // Embeddings and losses.

  /// out = words[ids], + places[positions] where `places` is not null.
  virtual void embed_tokens(const float* words, const float* places,
                            std::span<const std::int32_t> ids,
                            std::span<const std::size_t> positions,
                            MatrixView<float> out) const = 0;
  /// losses[i] = -log softmax(logits[i])[labels[i]]; the logits of row i become scales[i] times its
  /// gradient, or are used up where `scales` is empty.
  virtual void cross_entropy_in_place(MatrixView<float> logits,
                                      std::span<const std::int32_t> labels,
                                      std::span<const float> scales,
                                      std::span<double> losses) const = 0;
  /// out = dropout(norm(words[ids] + types[type_ids] + positions[position in the sequence])), and
  /// the normalised sums where `normalised` has memory.
  virtual void embed(const EmbeddingTables& tables, std::span<const std::int32_t> ids,
                     std::span<const std::int32_t> type_ids, SequenceStarts starts,
                     const NormWeights& norm, const Dropout& dropout, MatrixView<float> normalised,
                     MatrixView<float> out) const = 0;
  /// The mean over rows of (1 - smoothing) -log softmax(logits)[label] + smoothing times the mean
  /// over classes of -log softmax(logits); d_logits = its gradient. Both matrices lie without gaps.
  virtual double cross_entropy(MatrixView<const float> logits, std::span<const float> labels,
                               double smoothing, MatrixView<float> d_logits) const = 0;
  /// The mean of (logits - label)^2 over all columns of a row and all rows; d_logits = its
  /// gradient.
  virtual double squared_error(MatrixView<const float> logits, std::span<const float> labels,
                               MatrixView<float> d_logits) const = 0;

  // Blocks and weights.

  /// How many rows have logits over a vocabulary at one time.
  virtual std::size_t vocabulary_rows(std::size_t rows, std::size_t vocabulary) const = 0;
  /// How many of `rows` go through a feed-forward part of `width` together.
  virtual std::size_t feed_forward_rows(std::size_t rows, std::size_t width) const = 0;
  /// A frozen weight [out, in] prepared for products in bfloat16. Throws Error where there are
  /// none.
  virtual std::unique_ptr<const Bfloat16Weight> prepare_bfloat16(const float* weight,
                                                                 std::size_t out,
                                                                 std::size_t in) const = 0;
};

}  // namespace rankfold
