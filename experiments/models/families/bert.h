#pragma once

#include <filesystem>
#include <memory>

#include "experiments/models/config_file.h"
#include "experiments/models/host.h"

namespace rankfold {

/// transformers' BertForSequenceClassification: embeddings, post-norm encoder, pooler (dense and
/// tanh on the first token), classifier. The classifier trains; the pooler is frozen unless
/// `tt_head` replaces it. A checkpoint without a pooler or classifier gets new ones: N(0, 0.02)
/// from (seed, "initialise/<tensor>"), bias 0; notes() says so. Throws as load_host does.
std::unique_ptr<Host> load_bert(const std::filesystem::path& folder, const ConfigFile& config,
                                const HostSettings& settings, std::shared_ptr<const Device> device);

}  // namespace rankfold
