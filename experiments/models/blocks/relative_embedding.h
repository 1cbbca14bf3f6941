#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/device/arena.h"
#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"

namespace rankfold {

/// Which row of a relative embedding of 2 * span rows stands for the distance query - key.
struct PositionBuckets {
  std::size_t span = 0;
  /// Distances of half of `buckets` and more share rows, the wider the farther they are, up to
  /// `farthest` (DeBERTa-v2); 0: each has its own.
  std::size_t buckets = 0, farthest = 0;

  /// clamp(bucket(distance) + span, 0, 2 span - 1), with transformers' make_log_bucket_position, in
  /// float as there.
  std::size_t row(std::int64_t distance) const;
};

/// The rows that sequences of at most `longest` tokens meet, and which of them a distance is; kept
/// over passes.
struct RelativeRows {
  std::size_t longest = 0;
  std::vector<std::size_t> of_table;       ///< in the order of RelativeScores
  std::vector<std::uint32_t> of_distance;  ///< see RelativeScores::rows
};

/// The embedding of relative positions that all layers of a DeBERTa share, behind its norm where it
/// has one. The table is frozen unless all trains; the norm may be replaced by a trained one.
class RelativeEmbedding {
 public:
  /// `table` [2 * span, hidden].
  RelativeEmbedding(const float* table, const PositionBuckets& buckets, std::size_t hidden,
                    std::optional<LayerNorm> norm)
      : table_(table), buckets_(buckets), hidden_(hidden), norm_(std::move(norm)) {}

  LayerNorm* norm() { return norm_ ? &*norm_ : nullptr; }
  const float* table() const { return table_; }
  /// Where the gradient of the table goes, which then trains.
  void train(float* table_gradient) { table_gradient_ = table_gradient; }

  /// Fills pass.relative, in the arena; `rows` stay until the pass is over.
  void start(EncoderPass& pass, RelativeRows& rows, Arena& arena) const;
  /// From pass.relative.gradient, once all layers have added theirs: adds to the gradients of a
  /// trained norm and table. `rows` are those of `start`.
  void backward(const EncoderPass& pass, const RelativeRows& rows, Arena& arena) const;

 private:
  bool trains() const { return table_gradient_ || (norm_ && norm_->weight_gradient); }

  const float* table_;
  PositionBuckets buckets_;
  std::size_t hidden_;
  std::optional<LayerNorm> norm_;
  float* table_gradient_ = nullptr;
};

/// How the scores of a layer depend on relative positions, its attention's scale with them.
struct RelativeAttention {
  bool keys = false, queries = false;  ///< content meets positions (c2p), positions content (p2c)
  /// Maps of the embedding for both; where there is none it goes through the layer's own k and q.
  std::optional<HostLinear> key_map = {}, query_map = {};
  float scale = 1;
  double dropout = 0;  ///< of the embedding
};

}  // namespace rankfold
