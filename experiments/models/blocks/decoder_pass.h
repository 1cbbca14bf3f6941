#pragma once

#include <cstddef>
#include <span>

#include "experiments/models/blocks/encoder_pass.h"
#include "experiments/models/blocks/key_value_cache.h"

namespace rankfold {

/// One batch on its way through a decoder.
struct DecoderPass : EncoderPass {
  std::span<const std::size_t> positions;       ///< of each token in its sequence
  std::span<const std::size_t> lasts;           ///< the last token of each sequence,
  std::span<const std::size_t> last_positions;  ///< and their positions
  TurnTable turn;                               ///< without memory where positions are learned
  /// The keys and values of what lies before the batch's one sequence, to which its own are added.
  KeyValueCache* cache = nullptr;
  SequenceStarts key_starts;  ///< of keys and values: `starts`, or with the cache's before them
  SequencePrefixes prefixes;  ///< Batch::prefixes

  std::span<const std::size_t> row_positions(bool last_rows_only) const {
    return last_rows_only ? last_positions : positions;
  }
};

}  // namespace rankfold
