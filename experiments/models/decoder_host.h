#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/decoder_layer.h"
#include "experiments/models/blocks/layer_norm.h"
#include "experiments/models/blocks/rotary.h"
#include "experiments/models/blocks/sequence_score.h"
#include "experiments/models/blocks/token_output.h"
#include "experiments/models/check_batch.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"

namespace rankfold {

/// A decoder as a family puts it together: embeddings, pre-norm layers, a last norm, and one of two
/// heads.
struct DecoderNetwork {
  std::unique_ptr<FrozenWeights> weights;  ///< that all parts read
  SiteCatalogue catalogue;                 ///< of the layers
  BatchLimits limits;
  std::size_t hidden = 0;
  std::map<std::string, double> dropouts;  ///< see Host
  std::vector<std::string> notes;

  const float* words = nullptr;       ///< [vocabulary, hidden]
  const float* positions = nullptr;   ///< [positions, hidden] where they are learned,
  std::optional<RotaryTable> rotary;  ///< or how they turn queries and keys
  double embedding_dropout = 0;

  std::vector<DecoderLayer> layers;
  /// Of each layer; only the last may compute last rows alone.
  std::vector<DecoderApplication> applications;
  std::size_t key_width = 0;  ///< numbers of a token's key, and of its value, in a layer
  LayerNorm last_norm;
  /// Of a classifier: the last token of each sequence that is not `padding` (below 0: any is not).
  std::optional<SequenceScore> score;
  std::int32_t padding = -1;
  std::int32_t untrained_word = -1;   ///< see TableGradients
  std::optional<TokenOutput> output;  ///< of a language model
};

/// Runs a decoder with its backward. Norms train where the settings say so.
std::unique_ptr<Host> make_decoder_host(DecoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device);

}  // namespace rankfold
