#pragma once

#include <cstddef>
#include <string>

#include "experiments/models/host.h"

namespace rankfold {

/// What a model takes; of no types, a token type may be anything and changes nothing.
struct BatchLimits {
  std::string model;  ///< for messages
  std::size_t vocabulary = 0;
  std::size_t types = 0;  ///< 0: token types are not read
  std::size_t positions = 0, labels = 0;
  bool regression = false;
  bool tells_tokens = false;  ///< its labels are Batch::targets
};

/// Throws Error naming the model, what was found and what was expected: starts that do not cover
/// the tokens, an empty or too long sequence, an id, token type or (with_labels) label outside,
/// targets of which none is read, prefixes or options that are none.
void check_batch(const Batch& batch, const BatchLimits& limits, bool with_labels);

}  // namespace rankfold
