#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "experiments/models/attention.h"
#include "experiments/models/host_linear.h"
#include "experiments/models/layer_norm.h"
#include "experiments/models/memory.h"
#include "experiments/models/row_kernels.h"

namespace rankfold {

/// What the layers of a post-norm encoder (BERT, RoBERTa) have in common.
struct EncoderSettings {
  std::size_t hidden = 0, heads = 0, intermediate = 0;
  HiddenActivation activation = HiddenActivation::gelu;
  double hidden_dropout = 0, attention_dropout = 0;  ///< as trained
};

/// One batch on its way through the encoder.
struct EncoderPass {
  SequenceStarts starts;  ///< of the tokens
  SequenceStarts firsts;  ///< 0 .. sequences: of one row a sequence
  bool training = false;  ///< dropout, and everything a backward needs is kept
  std::uint64_t seed = 0, step = 0;
};

/// Memory that layers use one after the other.
struct EncoderScratch {
  explicit EncoderScratch(std::shared_ptr<const Backend> backend);
  Memory query, key, value, context, attended, activated, inner;
  Memory normalised, deviations;  ///< never read again: of layers without a backward
  Memory d_query, d_key, d_value, d_context, d_dense, d_inner;
  AttentionTrace attention;
};

/// A layer: a = LN(x + drop(o(attention(q(x), k(x), v(x))))), y = LN(a + drop(down(f(up(a))))).
/// It computes either every row of y or, in the last layer of a classifier, only the first of each
/// sequence; the sites q, o, up, down then see those rows alone.
class EncoderLayer {
 public:
  /// Frozen weights; `linears` are q, k, v, o, up, down. `place` addresses the dropout masks.
  struct Parts {
    std::vector<HostLinear> linears;
    LayerNorm attention_norm, output_norm;
  };
  EncoderLayer(const EncoderSettings& settings, Parts parts, std::string place,
               std::shared_ptr<const Backend> backend);

  /// q, k, v, o, up, down.
  std::vector<HostLinear>& linears() { return linears_; }
  const std::vector<HostLinear>& linears() const { return linears_; }
  LayerNorm& attention_norm() { return attention_norm_; }
  LayerNorm& output_norm() { return output_norm_; }

  /// Once the adapter is attached and norms are known to train: what a backward has to reach.
  /// `below` says that something below this layer trains. Returns whether anything at or below
  /// this layer does.
  bool plan(bool below);
  /// Whether backward forms dLoss/dx.
  bool reaches_input() const { return plan_.input; }

  /// x is [tokens, hidden]; y, in this layer's memory until its next forward, [tokens, hidden], or
  /// [sequences, hidden] with `first_rows_only`.
  MatrixView<float> forward(MatrixView<const float> x, const EncoderPass& pass,
                            bool first_rows_only, EncoderScratch& scratch);

  /// The y of the last forward.
  MatrixView<float> output(std::size_t rows) { return {output_.data(), rows, settings_.hidden}; }

  /// `gradient` holds dLoss/dy on entry (its matrix is used up); on return dLoss/dx where something
  /// below trains. `other` is memory of the same kind; the two may have been swapped.
  void backward(MatrixView<const float> x, const EncoderPass& pass, bool first_rows_only,
                Memory& gradient, Memory& other, EncoderScratch& scratch);

 private:
  HostLinear& query() { return linears_[0]; }
  HostLinear& key() { return linears_[1]; }
  HostLinear& value() { return linears_[2]; }
  HostLinear& attention_output() { return linears_[3]; }
  HostLinear& up() { return linears_[4]; }
  HostLinear& down() { return linears_[5]; }
  Dropout dropout(const char* where, double p, const EncoderPass& pass) const;
  MatrixView<const float> query_input(MatrixView<const float> x, const EncoderPass& pass,
                                      bool first_rows_only);
  void backward_feed_forward(const EncoderPass& pass, std::size_t rows, MatrixView<float> gradient,
                             EncoderScratch& scratch);

  /// Which gradients a backward has to form, from the top of the layer down.
  struct Plan {
    bool input = false;      ///< dLoss/dx
    bool attention = false;  ///< through the scores and probabilities to q, k or v
    bool attended = false;   ///< through the attention's norm, and so to the input of up
    bool any = false;
  };

  EncoderSettings settings_;
  std::vector<HostLinear> linears_;
  LayerNorm attention_norm_, output_norm_;
  std::string place_;
  Plan plan_;
  Attention attention_;
  AttentionTrace trace_;
  Memory first_rows_, query_, key_, value_, context_, attended_, activated_, derivative_;
  Memory attention_normalised_, attention_deviations_, output_normalised_, output_deviations_;
  Memory output_;
};

}  // namespace rankfold
