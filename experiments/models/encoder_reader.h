#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/encoder_layer.h"
#include "experiments/models/config_file.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"

// What the files of encoder families read in the same way.

namespace rankfold {

/// What a post-norm encoder's computation needs beside its sizes.
struct EncoderDetails {
  EncoderSettings layer;
  float epsilon = 0;
  double classifier_dropout = 0;
};
/// From the keys of BERT's config.json, or their defaults without one. `dropout` at least 0
/// replaces every dropout. Throws Error naming the file and an activation that is not computed.
EncoderDetails read_encoder_details(const ModelShape& shape,
                                    const std::optional<ConfigFile>& config, double dropout);

/// The norm of module `name`.
LayerNorm read_norm(const std::string& name, const ModelShape& shape, float epsilon,
                    FrozenWeights& weights);
/// Modules of a layer's norms: behind the attention, and behind the feed-forward part.
struct EncoderNorms {
  std::string attention, output;
};
/// Layer `layer` from the sites of the catalogue and from its norms. Products with its frozen
/// weights run in bfloat16 where asked for.
EncoderLayer read_encoder_layer(const ModelShape& shape, const EncoderDetails& details,
                                const SiteCatalogue& catalogue, std::size_t layer,
                                const EncoderNorms& norms, FrozenWeights& weights,
                                std::shared_ptr<const Device> device, bool bfloat16);

/// Notes tensors of the checkpoint that nothing has read, but for those that `expected` knows.
void note_unused(const FrozenWeights& weights, bool (*expected)(std::string_view name),
                 const std::string& model, std::vector<std::string>& notes);

}  // namespace rankfold
