#pragma once

#include <cstddef>
#include <optional>

#include "experiments/models/blocks/rotary.h"
#include "experiments/models/config_file.h"

namespace rankfold {

/// Rotary positions as "rope_parameters" of a config.json says (transformers 5), or "rope_scaling"
/// and "rope_theta" (before it, and where both are there); the plain ones without a config.
/// `positions` are its max_position_embeddings. Throws Error naming file and key: a type or a key
/// that is not computed here, a number that is missing or out of range.
RotarySettings read_rotary(const std::optional<ConfigFile>& config, std::size_t head_dim,
                           std::size_t positions);

}  // namespace rankfold
