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
  /// Keys and values of what lies before the batch's sequences, to which their own are added:
  /// sequence s goes on sequence cached[s] of it.
  KeyValueCache* cache = nullptr;
  std::span<const std::size_t> cached;
  /// Of keys and values: `starts`, or the cache's rows, where what lies between the sequences of
  /// the batch counts as sequences without queries; and of the queries of those.
  SequenceStarts key_starts, cached_queries, cached_lasts;
  SequencePrefixes prefixes;  ///< Batch::prefixes

  SequenceStarts query_starts(bool last_rows_only) const {
    if (!cache) return row_starts(last_rows_only);
    return last_rows_only ? cached_lasts : cached_queries;
  }
  std::span<const std::size_t> row_positions(bool last_rows_only) const {
    return last_rows_only ? last_positions : positions;
  }
};

}  // namespace rankfold
