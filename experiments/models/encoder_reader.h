#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/encoder_layer.h"
#include "experiments/models/config_values.h"
#include "experiments/models/encoder_host.h"
#include "experiments/models/families/family.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"
#include "experiments/models/linear_reader.h"
#include "experiments/models/shapes.h"

// What the files of encoder families read in the same way.

namespace rankfold {

/// Where a host comes from, for messages: its config.json, or the name of a built-in shape.
std::string config_name(const HostSource& source);
/// Throws Error naming the key, its value and the reason unless it has the one value that is
/// computed.
void require_key(const HostSource& source, const char* key, std::size_t value, std::size_t expected,
                 const char* reason);

/// What a family's configuration has where a config.json does not tell it.
struct EncoderDefaults {
  float epsilon = 1e-12f;
  double hidden_dropout = 0.1, attention_dropout = 0.1;
  HiddenActivation activation = HiddenActivation::gelu;
  std::int32_t padding = 0;
};
/// What a post-norm encoder's computation needs beside its sizes.
struct EncoderDetails {
  EncoderSettings layer;
  float epsilon = 0;
  double hidden_dropout = 0;
  std::int32_t padding = -1;  ///< "pad_token_id": see TableGradients
};
/// From the keys that encoders share, or the defaults without a config.json. `dropout` at least 0
/// replaces every dropout. Throws Error naming the file and an activation that is not computed.
EncoderDetails read_encoder_details(const ModelShape& shape,
                                    const std::optional<ConfigFile>& config, double dropout,
                                    const EncoderDefaults& defaults = {});

/// Its weights, catalogue and sizes; no layers yet. `prefix` is that of the checkpoint's names.
EncoderNetwork start_network(const HostSource& source, const HostSettings& settings,
                             const std::string& prefix, const EncoderDetails& details,
                             const std::shared_ptr<const Device>& device);
/// Sets the embedding: the tables that the shape has and the norm below module `place`,
/// "bert.embeddings", and how positions count (EmbeddingTables::padding).
void read_embedding(EncoderNetwork& network, const std::string& place, const ModelShape& shape,
                    const EncoderDetails& details, std::int32_t padding = -1,
                    std::optional<HostLinear> map = {});
/// Sets the head; its model is the network's.
void read_head(EncoderNetwork& network, HeadDescription description, const HostSettings& settings,
               const std::shared_ptr<const Device>& device);
/// The norm of module `name`.
LayerNorm read_norm(const std::string& name, std::size_t width, float epsilon,
                    FrozenWeights& weights);
/// Modules of a layer's norms: behind the attention, and behind the feed-forward part.
struct EncoderNorms {
  std::string attention, output;
};
/// Reads the relative positions of a layer where it has them: see EncoderLayer::Parts.
using RelativeReader = std::function<RelativeAttention(LinearReader& linears, std::size_t layer)>;
/// Layer `layer` from its linear layers and from its norms.
EncoderLayer read_encoder_layer(const EncoderDetails& details, LinearReader& linears,
                                std::size_t layer, const EncoderNorms& norms,
                                FrozenWeights& weights, std::shared_ptr<const Device> device,
                                const RelativeReader& relative = {});
/// The layers of "bert.encoder.layer.0" and so on, each run once. Products with their frozen
/// weights run in bfloat16 where asked for.
void read_layers(EncoderNetwork& network, const std::string& place, const EncoderDetails& details,
                 const ModelShape& shape, const std::shared_ptr<const Device>& device,
                 bool bfloat16, const RelativeReader& relative = {});

/// Notes tensors of the checkpoint that nothing has read, but for those whose names begin, behind
/// `prefix`, as one of `expected`.
void note_unused(EncoderNetwork& network, std::string_view prefix,
                 std::initializer_list<std::string_view> expected);

}  // namespace rankfold
