#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/device/device.h"
#include "experiments/models/blocks/rotary.h"
#include "experiments/models/config_values.h"
#include "experiments/models/families/family.h"
#include "experiments/models/host.h"

// What the files of decoder families read in the same way.

namespace rankfold {

/// Where a decoder keeps what is no site: module names, those of a layer below it; null where it
/// has none.
struct DecoderModules {
  std::string prefix;  ///< that checkpoints may leave out
  const char *words = nullptr, *positions = nullptr, *last_norm = nullptr;
  const char *attention_norm = nullptr, *feed_forward_norm = nullptr;
  const char *query_norm = nullptr, *key_norm = nullptr;
};

/// What a decoder's computation needs beside its sizes.
struct DecoderDetails {
  DecoderModules modules;
  HiddenActivation activation = HiddenActivation::silu;
  float epsilon = 0;
  bool centred = true;  ///< its norms; else they are RMS norms, without biases
  double hidden_dropout = 0, attention_dropout = 0, embedding_dropout = 0;
  std::size_t unused_positions = 0;  ///< rows of the table of positions before the first one's
  std::optional<RotarySettings> rotary;
  std::int32_t padding = -1;  ///< "pad_token_id" where config.json does not name it
  bool padding_trains = false;  ///< with all weights its embedding does too (GPT-2)
};

/// Puts a decoder together: a classifier with `score` on the last token of a sequence that is not
/// "pad_token_id", or a language model with `lm_head`, tied to the embedding where the shape says
/// so. A checkpoint without a score gets a new one: N(0, 0.02) from (seed, "initialise/<tensor>").
std::unique_ptr<Host> load_decoder(const HostSource& source, const DecoderDetails& details,
                                   const HostSettings& settings,
                                   std::shared_ptr<const Device> device);

}  // namespace rankfold
