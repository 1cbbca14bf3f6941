#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/embedding_layer.h"
#include "experiments/models/blocks/encoder_layer.h"
#include "experiments/models/config_file.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"

namespace rankfold {

/// The part of a BERT's config.json that its computation needs.
struct BertConfig {
  EncoderSettings encoder;
  std::size_t layers = 0, vocabulary = 0, positions = 0, types = 0;
  float epsilon = 0;
  double classifier_dropout = 0;
};

/// Reads config.json, whose keys expect_known_config has checked. `dropout` at least 0 replaces
/// every dropout of the file.
BertConfig read_bert_config(const ConfigFile& file, double dropout);

BertEmbeddings read_bert_embeddings(const BertConfig& config, FrozenWeights& weights);

/// Layer `layer`; its sites are named "bert.encoder.layer.<layer>....". Products with its frozen
/// weights run in bfloat16 where asked for.
EncoderLayer read_bert_layer(const BertConfig& config, std::size_t layer, FrozenWeights& weights,
                             std::shared_ptr<const Device> device, bool bfloat16);

}  // namespace rankfold
