#pragma once

#include <memory>
#include <set>
#include <string>

#include "experiments/models/blocks/relative_embedding.h"
#include "experiments/models/encoder_reader.h"
#include "experiments/models/families/family_parts.h"

// What both versions of DeBERTa share.

namespace rankfold {

std::vector<ForeignKey> deberta_keys();
/// deberta-base or deberta-v3-base, without what tells the versions apart.
ModelShape deberta_preset(std::string name, std::size_t vocabulary, std::size_t relative_rows);
/// Sizes of the text and of the embeddings; nothing of relative positions.
ModelShape read_deberta_sizes(const ConfigFile& config);

/// How a config.json has relative positions.
struct RelativePositions {
  bool on = false;
  std::set<std::string> terms;  ///< "c2p", "p2c"
  std::size_t rows = 0;         ///< of half the embedding where no buckets are told
  std::int64_t buckets = -1;
};
RelativePositions read_relative_positions(const ConfigFile& config, const ModelShape& shape);

/// What the versions of DeBERTa differ in as they are computed.
struct DebertaVersion {
  RelativePositions positions;
  PositionBuckets buckets;
};
/// transformers' DebertaForSequenceClassification and DebertaV2ForSequenceClassification. Throws
/// Error naming config.json and the key of what is not computed.
std::unique_ptr<Host> load_deberta(const HostSource& source, const HostSettings& settings,
                                   std::shared_ptr<const Device> device,
                                   const DebertaVersion& version);

std::size_t deberta_norm_parameters(const ModelShape& shape);
/// Embeddings, norms and their maps and convolutions: all but the layers.
std::size_t deberta_outer_parameters(const ModelShape& shape);

}  // namespace rankfold
