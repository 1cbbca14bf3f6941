#include "experiments/models/decoder_rows.h"

#include <algorithm>

namespace rankfold {

DecoderPass DecoderRows::start(const Batch& batch, KeyValueCache* cache) {
  const std::size_t before = cache ? cache->tokens() : 0;
  while (counting_.size() < batch.starts.size()) counting_.push_back(counting_.size());
  positions_.clear();
  lasts_.clear();
  last_positions_.clear();
  longest_ = 0;
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    const std::size_t length = batch.starts[s + 1] - batch.starts[s];
    for (std::size_t place = 0; place < length; ++place) positions_.push_back(before + place);
    lasts_.push_back(batch.starts[s + 1] - 1);
    last_positions_.push_back(before + length - 1);
    longest_ = std::max(longest_, before + length);
  }
  DecoderPass pass;
  pass.starts = batch.starts;
  pass.firsts = std::span(counting_).first(batch.starts.size());
  pass.positions = positions_;
  pass.lasts = lasts_;
  pass.last_positions = last_positions_;
  pass.key_starts = pass.starts;
  if (cache) {
    key_starts_ = {0, longest_};
    pass.key_starts = key_starts_;
    pass.cache = cache;
  }
  return pass;
}

void DecoderRows::find_labels(const Batch& batch) {
  labelled_.clear();
  labels_.clear();
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    for (std::size_t t = batch.starts[s]; t + 1 < batch.starts[s + 1]; ++t) {
      if (batch.targets[t + 1] == Batch::left_out) continue;
      labelled_.push_back(t);
      labels_.push_back(batch.targets[t + 1]);
    }
}

}  // namespace rankfold
