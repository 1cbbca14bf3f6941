#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/device/row_kernels.h"
#include "experiments/models/config_file.h"

// What hosts of every kind read in the same way of a config.json, or of none: a built-in shape has
// none. All throw Error naming file and key.

namespace rankfold {

/// A dropout, or `fallback` where the file tells none; at least 0, `replaced` stands for it.
double read_dropout(const std::optional<ConfigFile>& config, double replaced, const char* key,
                    double fallback);

/// What a norm adds to the variance, or `fallback` where the file tells none.
float read_epsilon(const std::optional<ConfigFile>& config, const char* key, float fallback);

/// An activation that is computed here, or `fallback` where the file tells none.
HiddenActivation read_activation(const std::optional<ConfigFile>& config, const char* key,
                                 HiddenActivation fallback);

/// "pad_token_id": -1 where it is null, `fallback` where the file does not name it.
std::int32_t read_padding(const std::optional<ConfigFile>& config, std::int32_t fallback);

/// How many labels a classifier has: names in "id2label", else "num_labels", else transformers' 2.
std::size_t read_label_count(const ConfigFile& config);

}  // namespace rankfold
