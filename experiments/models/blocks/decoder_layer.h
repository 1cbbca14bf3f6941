#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/arena.h"
#include "core/device/device.h"
#include "core/device/dropout.h"
#include "core/device/row_kernels.h"
#include "experiments/models/blocks/attention.h"
#include "experiments/models/blocks/decoder_pass.h"
#include "experiments/models/blocks/feed_forward.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"

namespace rankfold {

/// What a layer of a decoder has beside its weights.
struct DecoderSettings {
  std::size_t heads = 0, key_value_heads = 0, head_dim = 0;
  std::size_t window = 0;  ///< tokens that attention sees; 0: all before
  HiddenActivation activation = HiddenActivation::silu;
  double hidden_dropout = 0, attention_dropout = 0;  ///< as trained
};

/// One application of a layer in a pass, the caller's. Kept over steps, so that what adapters keep
/// takes no new memory.
struct DecoderApplication {
  /// `place` addresses the dropout masks: no two applications of a network share one.
  explicit DecoderApplication(const std::string& place, bool only_last_rows = false)
      : attention_place(place + ".attention"),
        attention_output_place(place + ".attention.output"),
        output_place(place + ".output"),
        last_rows_only(only_last_rows) {}

  std::string attention_place, attention_output_place, output_place;
  /// Only the last row of each sequence is computed, as the last layer of a classifier does; the
  /// sites q, o, gate, up, down then see those rows alone.
  bool last_rows_only = false;

  /// Which gradients a backward has to form, from the top of the layer down (DecoderLayer::reach).
  struct Reach {
    bool input = false;      ///< dLoss/dx
    bool attention = false;  ///< through the scores and probabilities to q, k or v
    bool attended = false;   ///< of the sum behind the attention
    bool any = false;
  } reach;

  /// Of a fused projection they are column ranges of `fused`; of last rows only, q is a copy.
  struct Projections {
    MatrixView<float> q, k, v, fused;
  };
  /// What the last forward left for its backward, in the arena; without memory where not needed.
  struct Kept {
    Arena::Mark start;
    MatrixView<float> x, attended, y;  ///< the sums: before, behind the attention, behind all
    Projections projections;           ///< as the attention reads them, turned
    MatrixView<float> q, k;            ///< before the norms of heads, where there are some
    AttentionTrace attention;
    MatrixView<float> context;
    FeedForward::Kept feed_forward;
  } kept;
  /// What the adapters left: of q, k and v together, or of last rows only, of k and v.
  struct Traces {
    Trace<float> query, projections, attention_output;
    FeedForward::Traces feed_forward;
  } traces;
};

/// A pre-norm layer: a = x + drop(o(attention(q(n), k(n), v(n)))) for n = norm(x), and
/// y = a + drop(feed_forward(norm(a))). Attention is causal; q and k may pass a norm of each head,
/// and are turned by their positions where the pass has a table. q, k and v may be parts of one
/// site, whose outputs are q, then k, then v: it computes where an adapter acts on it. It holds
/// weights only.
class DecoderLayer {
 public:
  /// Frozen weights; `linears` are q, k, v, o, where there is one behind in_proj. Norms of heads
  /// have no weight where there are none.
  struct Parts {
    std::vector<HostLinear> linears;
    std::vector<HostLinear> feed_forward;  ///< see FeedForward
    LayerNorm attention_norm, feed_forward_norm, query_norm, key_norm;
  };
  /// Throws Error for another number of linears, and for norms of heads beside an in_proj.
  DecoderLayer(std::size_t index, const DecoderSettings& settings, Parts parts,
               std::shared_ptr<const Device> device);

  /// As in Parts, then the feed-forward part's.
  std::vector<HostLinear*> linears();
  std::vector<const HostLinear*> linears() const;
  std::vector<LayerNorm*> norms();

  /// What the backward of an application reaches, once the adapter is attached and norms are known
  /// to train. `below` says that something below the layer trains; so it does above it where `any`
  /// is set.
  DecoderApplication::Reach reach(bool below) const;

  /// x is [tokens, hidden]; returns y: [tokens, hidden], or [sequences, hidden] of last rows only.
  /// y takes the place of x unless a backward follows, whose needs are taken from the arena and
  /// stay there; x must stay until then.
  MatrixView<float> forward(MatrixView<float> x, const DecoderPass& pass,
                            DecoderApplication& application, Arena& arena) const;
  /// `gradient` holds dLoss/dy on entry and is used up; dx receives dLoss/dx where
  /// reach.input: it is `gradient` itself unless the forward computed last rows only. Afterwards
  /// everything that the forward took from the arena is given back.
  void backward(const DecoderPass& pass, DecoderApplication& application,
                MatrixView<float> gradient, MatrixView<float> dx, Arena& arena) const;

 private:
  using Projections = DecoderApplication::Projections;

  bool fused() const { return linears_.size() == 5 && linears_[0].trains(); }
  /// The linear of q, k and v, or 0, 1 or 2 of them.
  const HostLinear& projection(std::size_t part) const {
    return linears_[fused() ? 0 : linears_.size() - 4 + part];
  }
  const HostLinear& query() const { return projection(0); }
  const HostLinear& key() const { return projection(1); }
  const HostLinear& value() const { return projection(2); }
  const HostLinear& attention_output() const { return linears_.back(); }
  std::size_t hidden() const { return attention_output().site().out; }
  std::size_t query_width() const { return settings_.heads * settings_.head_dim; }
  std::size_t key_width() const { return settings_.key_value_heads * settings_.head_dim; }
  bool reads_input() const { return query().trains() || key().trains() || value().trains(); }
  bool has_head_norms() const { return query_norm_.weight != nullptr; }

  Projections take_projections(const DecoderPass& pass, bool last_rows_only, Arena& arena) const;
  void take_kept(const DecoderPass& pass, DecoderApplication& application, MatrixView<float> x,
                 const Dropout& attention_dropout, Arena& arena) const;
  void project(MatrixView<const float> normed, const DecoderPass& pass,
               DecoderApplication& application, const Projections& projections, bool keep,
               Arena& arena) const;
  void attend(const Projections& projections, const DecoderPass& pass,
              const DecoderApplication& application, const Dropout& dropout,
              MatrixView<float> context) const;
  void backward_feed_forward(const DecoderPass& pass, const DecoderApplication& application,
                             MatrixView<float> gradient, Arena& arena) const;
  void backward_attention(const DecoderPass& pass, const DecoderApplication& application,
                          MatrixView<const float> gradient, Arena& arena) const;
  void backward_fused(const DecoderPass& pass, const DecoderApplication& application,
                      MatrixView<const float> normed, MatrixView<float> d_normed,
                      const Device& device) const;
  void backward_projections(const DecoderPass& pass, const DecoderApplication& application,
                            MatrixView<float> gradient, MatrixView<float> dx, Arena& arena) const;

  std::size_t index_;
  DecoderSettings settings_;
  std::vector<HostLinear> linears_;
  FeedForward feed_forward_;
  LayerNorm attention_norm_, feed_forward_norm_, query_norm_, key_norm_;
  Attention attention_;
};

}  // namespace rankfold
