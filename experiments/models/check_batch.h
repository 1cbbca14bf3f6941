#pragma once

#include <cstddef>
#include <string>

#include "experiments/models/host.h"

namespace rankfold {

/// What a model takes; of no types, a token type may be anything and changes nothing.
struct BatchLimits {
  std::string model;  ///< for messages
  std::size_t vocabulary = 0, types = 0, positions = 0, labels = 0;
  bool regression = false;
};

/// Throws Error naming the model, what was found and what was expected: starts that do not cover
/// the tokens, an empty or too long sequence, an id, token type or (with_labels) label outside.
void check_batch(const Batch& batch, const BatchLimits& limits, bool with_labels);

}  // namespace rankfold
