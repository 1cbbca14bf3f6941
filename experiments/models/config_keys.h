#pragma once

#include <span>

#include "core/base/foreign_keys.h"
#include "experiments/models/config_file.h"

namespace rankfold {

/// Checks every key of a config.json against what transformers' configuration class of the family
/// has (5.24, and what older versions saved): the keys of every family, and those of `family`
/// (Family::keys). Each is read here, changes no number that is computed or counted here, or
/// switches on something that is not here and must be off. Checks the values of sizes,
/// probabilities, epsilons, activations and switches too, read here or not.
///
/// Throws Error naming the file and the key: one that is not known and is on, one that switches on
/// what is not here, a value of a wrong type or out of range, null where transformers has no null.
void expect_known_config(const ConfigFile& config, std::span<const ForeignKey> family);

}  // namespace rankfold
