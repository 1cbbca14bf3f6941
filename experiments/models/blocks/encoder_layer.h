#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/dropout.h"
#include "core/device/row_kernels.h"
#include "experiments/models/blocks/attention.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/blocks/relative_embedding.h"

namespace rankfold {

/// What the layers of a post-norm encoder have in common.
struct EncoderSettings {
  std::size_t hidden = 0, heads = 0, intermediate = 0;
  HiddenActivation activation = HiddenActivation::gelu;
  /// As trained: of probabilities, behind o, behind down.
  double attention_dropout = 0, attention_output_dropout = 0, output_dropout = 0;
};

/// One application of a layer in a pass, the caller's: a layer may have several (ALBERT's one has
/// twelve). Kept over steps, so that what adapters keep takes no new memory.
struct EncoderApplication {
  /// `place` addresses the dropout masks: no two applications of a network share one.
  explicit EncoderApplication(const std::string& place, bool first_rows = false)
      : attention_place(place + ".attention"),
        relative_place(place + ".attention.relative"),
        attention_output_place(place + ".attention.output"),
        output_place(place + ".output"),
        first_rows_only(first_rows) {}

  std::string attention_place, relative_place, attention_output_place, output_place;
  /// Only the first row of each sequence is computed, as the last layer of a classifier does; the
  /// sites q, o, up, down then see those rows alone.
  bool first_rows_only = false;
  /// Keeps what form_output needs even where nothing here or below trains.
  bool keeps_output = false;

  /// Which gradients a backward has to form, from the top of the layer down (EncoderLayer::reach).
  struct Reach {
    bool input = false;      ///< dLoss/dx
    bool attention = false;  ///< through the scores and probabilities to q, k or v
    bool attended = false;   ///< through the attention's norm, and so to the input of up
    bool any = false;
  } reach;

  /// q, k and v of all tokens side by side in one matrix; of first rows only, k and v. Those of one
  /// site stand in it head by head, also of first rows only, whose q is a copy of their rows.
  struct Projections {
    MatrixView<float> q, k, v;
    MatrixView<float> fused;  ///< all of it where q, k and v are one site
  };
  /// The relative embedding behind its maps; without memory where there is no such term.
  struct PositionMaps {
    MatrixView<float> keys, queries;
  };
  /// What the last forward left for its backward, in the arena; without memory where not needed.
  struct Kept {
    Arena::Mark start;
    Projections projections;
    PositionMaps positions;
    AttentionTrace attention;
    MatrixView<float> context;
    NormTrace attention_norm, output_norm;
    MatrixView<float> derivative;  ///< of the activation
    MatrixView<float> activated;
  } kept;
  /// What the adapters left: of q, k and v together, or of first rows only, of k and v; of k and q
  /// for the relative embedding.
  struct Traces {
    Trace<float> query, projections, positions, attention_output, up, down;
  } traces;
};

/// A layer: a = LN(x + drop(o(attention(q(x), k(x), v(x))))), y = LN(a + drop(down(f(up(a))))).
/// q, k and v may be parts of one site, whose outputs are q, k and v of each head after another:
/// it computes unless an adapter acts on a part. Scores may depend on relative positions (DeBERTa,
/// see RelativeScores). It holds weights only. What
/// follows the attention goes by blocks of rows, unless an adapter has to see all rows at once.
class EncoderLayer {
 public:
  /// Frozen weights; `linears` are q, k, v, o, up, down, where there is one behind in_proj.
  struct Parts {
    std::vector<HostLinear> linears;
    LayerNorm attention_norm, output_norm;
    std::optional<RelativeAttention> relative = {};
  };
  /// Throws Error for another number of linears, and for an in_proj without `relative`.
  EncoderLayer(const EncoderSettings& settings, Parts parts, std::shared_ptr<const Device> device);

  /// As in Parts, and the maps of relative positions.
  std::vector<HostLinear*> linears();
  LayerNorm& attention_norm() { return attention_norm_; }
  LayerNorm& output_norm() { return output_norm_; }

  /// What the backward of an application reaches, once the adapter is attached and norms are known
  /// to train. `below` says that something below the application trains; so it does above it where
  /// `any` is set.
  EncoderApplication::Reach reach(bool below) const;
  /// Whether backward needs the input again; the caller has to be able to form it.
  bool reads_input() const;

  /// x is [tokens, hidden]; y takes its place: [tokens, hidden], or [sequences, hidden] of first
  /// rows only. What a backward needs is taken from the arena and stays there.
  MatrixView<float> forward(MatrixView<float> x, const EncoderPass& pass,
                            EncoderApplication& application, Arena& arena) const;
  /// y of the forward again; before its backward.
  void form_output(const EncoderApplication& application, MatrixView<float> y,
                   const Device& device) const;

  /// The upper half of a backward, through the feed-forward part and the attention: `gradient`
  /// holds dLoss/dy on entry and is used up. Returns room [tokens, hidden] for x, which the caller
  /// forms again; without memory where nobody reads it.
  MatrixView<float> backward_attention(const EncoderPass& pass, EncoderApplication& application,
                                       MatrixView<float> gradient, Arena& arena) const;
  /// The lower half, through q, k and v: dx receives dLoss/dx where something below trains. It is
  /// `gradient` itself unless the forward computed first rows only. Afterwards everything that the
  /// forward took from the arena is given back.
  void backward_projections(const EncoderPass& pass, EncoderApplication& application,
                            MatrixView<const float> x, MatrixView<float> gradient,
                            MatrixView<float> dx, Arena& arena) const;

 private:
  using Projections = EncoderApplication::Projections;
  using PositionMaps = EncoderApplication::PositionMaps;
  /// The masks of one application in one pass.
  struct Dropouts {
    Dropout attention, attention_output, output;
  };

  bool has_whole() const { return linears_.size() == 7; }
  /// The linear of q, k and v, or 0, 1 or 2 of them.
  const HostLinear& projection(std::size_t part) const {
    return linears_[fused() ? 0 : linears_.size() - 6 + part];
  }
  bool fused() const {
    return has_whole() &&
           !(linears_[1].trains() || linears_[2].trains() || linears_[3].trains());
  }
  const HostLinear& query() const { return projection(0); }
  const HostLinear& key() const { return projection(1); }
  const HostLinear& value() const { return projection(2); }
  const HostLinear& attention_output() const { return linears_[linears_.size() - 3]; }
  const HostLinear& up() const { return linears_[linears_.size() - 2]; }
  const HostLinear& down() const { return linears_[linears_.size() - 1]; }
  /// What the relative embedding goes through.
  const HostLinear& position_key() const {
    return relative_->key_map ? *relative_->key_map : key();
  }
  const HostLinear& position_query() const {
    return relative_->query_map ? *relative_->query_map : query();
  }
  std::size_t head_dim() const { return settings_.hidden / settings_.heads; }

  Dropouts dropouts(const EncoderPass& pass, const EncoderApplication& application) const;
  void take_kept(const EncoderPass& pass, EncoderApplication& application, const Dropouts& drop,
                 Arena& arena) const;
  std::size_t block_rows(std::size_t rows, const Device& device) const;
  void forward_rows(MatrixView<const float> context, MatrixView<const float> residual,
                    const Dropouts& drop, bool keep, EncoderApplication& application,
                    MatrixView<float> y, Arena& arena) const;
  MatrixView<float> backward_rows(const EncoderApplication& application, const Dropouts& drop,
                                  MatrixView<float> gradient, Arena& arena) const;
  void backward_feed_forward(const EncoderApplication& application, std::size_t begin,
                             MatrixView<float> d_dense, MatrixView<float> d_inner,
                             MatrixView<float> gradient, Arena& arena) const;

  // The attention and what it reads: encoder_layer_attention.cpp.

  /// The first row of each sequence, in the arena.
  static MatrixView<float> first_rows(MatrixView<const float> x, SequenceStarts starts,
                                      Arena& arena);
  Projections take_projections(const EncoderPass& pass, bool first_rows_only, Arena& arena) const;
  void project(MatrixView<const float> x, MatrixView<const float> x_query, const EncoderPass& pass,
               const Projections& projections, EncoderApplication::Traces* traces,
               const Device& device) const;
  PositionMaps take_positions(const EncoderPass& pass, Arena& arena) const;
  /// The relative embedding as this application drops it.
  MatrixView<const float> relative_embedding(const EncoderPass& pass,
                                             const EncoderApplication& application,
                                             Arena& arena) const;
  void map_positions(const EncoderPass& pass, const EncoderApplication& application,
                     const PositionMaps& maps, Trace<float>* trace, Arena& arena) const;
  void backward_positions(const EncoderPass& pass, const EncoderApplication& application,
                          const PositionMaps& gradients, Arena& arena) const;
  RelativeScores relative_scores(const EncoderPass& pass, const PositionMaps& maps) const;
  void attend(const EncoderPass& pass, const EncoderApplication& application,
              const Projections& projections, const PositionMaps& maps, const Dropout& dropout,
              MatrixView<float> context, const Device& device) const;
  /// The projections become their gradients in place.
  void attend_backward(const EncoderPass& pass, const EncoderApplication& application,
                       const Dropout& dropout, MatrixView<const float> d_context,
                       Arena& arena) const;
  void propagate(const EncoderPass& pass, const EncoderApplication& application,
                 MatrixView<const float> x, MatrixView<float> gradient, MatrixView<float> dx,
                 Arena& arena) const;
  void propagate_fused(const EncoderPass& pass, const EncoderApplication& application,
                       MatrixView<const float> x, MatrixView<float> gradient, MatrixView<float> dx,
                       const Device& device) const;

  EncoderSettings settings_;
  std::vector<HostLinear> linears_;
  LayerNorm attention_norm_, output_norm_;
  std::optional<RelativeAttention> relative_;
  Attention attention_;
};

}  // namespace rankfold
