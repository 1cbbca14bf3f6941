#pragma once

#include "experiments/models/host.h"

namespace rankfold {

/// Sequences of 3 to 8 tokens, of classes 0 and 1 in turns.
inline Batch six_sequences() {
  Batch batch;
  batch.starts.push_back(0);
  for (std::size_t sequence = 0; sequence < 6; ++sequence) {
    for (std::size_t i = 0; i < 3 + sequence; ++i)
      batch.ids.push_back(static_cast<std::int32_t>(5 + (17 * sequence + 31 * i) % 90));
    batch.starts.push_back(batch.ids.size());
    batch.labels.push_back(static_cast<float>(sequence % 2));
  }
  batch.type_ids.assign(batch.ids.size(), 0);
  return batch;
}

}  // namespace rankfold
