#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/classification_head.h"
#include "experiments/models/blocks/embedding_layer.h"
#include "experiments/models/blocks/encoder_layer.h"
#include "experiments/models/blocks/relative_embedding.h"
#include "experiments/models/check_batch.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"

namespace rankfold {

/// A classifier as a family puts it together: embeddings, post-norm layers, a head on the first row
/// of each sequence.
struct EncoderNetwork {
  std::unique_ptr<FrozenWeights> weights;  ///< that all parts read
  SiteCatalogue catalogue;                 ///< of the layers
  BatchLimits limits;
  std::size_t hidden = 0;
  std::int32_t padding = -1;  ///< see TableGradients
  std::map<std::string, double> dropouts;  ///< see Host
  std::vector<std::string> notes;

  EmbeddingLayer embedding;
  std::optional<RelativeEmbedding> relative;  ///< where scores depend on them
  std::vector<EncoderLayer> layers;           ///< that have weights of their own
  /// The layers in the order in which they run; only the last may compute first rows alone.
  struct Step {
    std::size_t layer;
    EncoderApplication application;
  };
  std::vector<Step> steps;
  std::unique_ptr<ClassificationHead> head;
};

/// Runs an encoder with its backward: what a layer's input was is formed again, by the layer below
/// or the embeddings. Norms train where the settings say so.
std::unique_ptr<Host> make_encoder_host(EncoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device);

}  // namespace rankfold
