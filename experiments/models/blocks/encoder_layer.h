#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/dropout.h"
#include "core/device/row_kernels.h"
#include "experiments/models/blocks/attention.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"

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

  std::size_t tokens() const { return starts.back(); }
  std::size_t sequences() const { return starts.size() - 1; }
  SequenceStarts row_starts(bool first_rows_only) const {
    return first_rows_only ? firsts : starts;
  }
  /// The dropout of this pass at a place of the network; none outside training.
  Dropout dropout(double p, std::string_view place) const {
    return training && p > 0 ? Dropout(p, seed, place, step) : Dropout();
  }
};

/// What comes before a layer. A layer's input is never kept for its backward: its origin forms it
/// again.
class InputOrigin {
 public:
  virtual ~InputOrigin() = default;
  /// Overwrites x [tokens, hidden] with what the last forward handed on.
  virtual void form_input(const EncoderPass& pass, MatrixView<float> x, Arena& arena) const = 0;
};

/// A layer: a = LN(x + drop(o(attention(q(x), k(x), v(x))))), y = LN(a + drop(down(f(up(a))))).
/// It computes either every row of y or, in the last layer of a classifier, only the first of each
/// sequence; the sites q, o, up, down then see those rows alone. What follows the attention goes by
/// blocks of rows, unless an adapter has to see all rows at once.
class EncoderLayer final : public InputOrigin {
 public:
  /// Frozen weights; `linears` are q, k, v, o, up, down. `place` addresses the dropout masks.
  struct Parts {
    std::vector<HostLinear> linears;
    LayerNorm attention_norm, output_norm;
  };
  EncoderLayer(const EncoderSettings& settings, Parts parts, const std::string& place,
               std::shared_ptr<const Device> device);

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
  /// Whether backward needs the input again; what comes before has to be able to form it.
  bool reads_input() const;
  /// Makes a layer that nothing reaches keep what form_input needs.
  void keep_output(bool yes) { keep_output_ = yes; }

  /// x is [tokens, hidden]; y takes its place: [tokens, hidden], or [sequences, hidden] with
  /// `first_rows_only`. What a backward needs is taken from the arena and stays there.
  MatrixView<float> forward(MatrixView<float> x, const EncoderPass& pass, bool first_rows_only,
                            Arena& arena);

  /// `gradient` holds dLoss/dy on entry and is used up; dx receives dLoss/dx where something below
  /// trains. They are one matrix unless the forward computed first rows only. Afterwards everything
  /// that the forward took from the arena is given back.
  void backward(const EncoderPass& pass, bool first_rows_only, const InputOrigin& origin,
                MatrixView<float> gradient, MatrixView<float> dx, Arena& arena);

  /// y of the last forward; before its backward.
  void form_input(const EncoderPass& pass, MatrixView<float> x, Arena& arena) const override;

 private:
  /// q, k and v of all tokens side by side in one matrix; of first rows only, k and v.
  struct Projections {
    MatrixView<float> q, k, v;
  };
  /// What a forward leaves for the backward, in the arena; without memory where not needed.
  struct Kept {
    Arena::Mark start;
    Projections projections;
    AttentionTrace attention;
    MatrixView<float> context;
    NormTrace attention_norm, output_norm;
    MatrixView<float> derivative;  ///< of the activation
    MatrixView<float> activated;
  };
  /// Those of one pass.
  struct Dropouts {
    Dropout attention, attention_output, output;
  };

  HostLinear& query() { return linears_[0]; }
  HostLinear& key() { return linears_[1]; }
  HostLinear& value() { return linears_[2]; }
  HostLinear& attention_output() { return linears_[3]; }
  HostLinear& up() { return linears_[4]; }
  HostLinear& down() { return linears_[5]; }
  bool adapted(std::size_t linear) const { return linears_[linear].adapted(); }

  Dropouts dropouts(const EncoderPass& pass) const;
  Projections take_projections(const EncoderPass& pass, bool first_rows_only, Arena& arena) const;
  void take_kept(const EncoderPass& pass, bool first_rows_only, const Dropouts& drop, Arena& arena);
  void project(MatrixView<const float> x, MatrixView<const float> x_query,
               const Projections& projections, bool keep);
  std::size_t block_rows(std::size_t rows) const;
  void forward_rows(MatrixView<const float> context, MatrixView<const float> residual,
                    const Dropouts& drop, bool keep, MatrixView<float> y, Arena& arena);
  MatrixView<float> backward_rows(const Dropouts& drop, MatrixView<float> gradient, Arena& arena);
  void backward_feed_forward(std::size_t begin, MatrixView<float> d_dense,
                             MatrixView<float> d_inner, MatrixView<float> gradient, Arena& arena);
  void backward_projections(const EncoderPass& pass, bool first_rows_only,
                            const InputOrigin& origin, MatrixView<float> gradient,
                            MatrixView<float> dx, Arena& arena);

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
  std::string attention_place_, attention_output_place_, output_place_;
  Plan plan_;
  bool keep_output_ = false;
  Attention attention_;
  Kept kept_;
};

}  // namespace rankfold
