#include "experiments/models/decoder_rows.h"

#include <algorithm>
#include <optional>

namespace rankfold {

DecoderPass DecoderRows::start(const Batch& batch, KeyValueCache* cache) {
  while (counting_.size() < batch.starts.size()) counting_.push_back(counting_.size());
  positions_.clear();
  lasts_.clear();
  last_positions_.clear();
  longest_ = 0;
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    const std::size_t length = batch.starts[s + 1] - batch.starts[s];
    const std::size_t before = cache ? cache->tokens() : batch.prefix_tokens(s);
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
  pass.prefixes = batch.prefixes;
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
  answers_.assign(1, 0);
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      const std::optional<std::size_t> before = batch.token_before(s, t);
      if (!before || batch.targets[t] == Batch::left_out) continue;
      labelled_.push_back(*before);
      labels_.push_back(batch.targets[t]);
    }
    if (labelled_.size() > answers_.back()) answers_.push_back(labelled_.size());
  }
}

std::size_t PaddingCut::end(const Batch& batch, std::size_t sequence) const {
  std::size_t end = batch.starts[sequence + 1];
  while (end > batch.starts[sequence] + 1 && batch.ids[end - 1] == padding_) --end;
  return end;
}

const Batch& PaddingCut::of(const Batch& batch) {
  std::size_t whole = 0;
  while (whole < batch.sequences() && end(batch, whole) == batch.starts[whole + 1]) ++whole;
  if (whole == batch.sequences()) return batch;
  cut_.ids.clear();
  cut_.starts.assign(1, 0);
  cut_.labels = batch.labels;
  features_.clear();
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    for (std::size_t t = batch.starts[s]; t < end(batch, s); ++t) {
      cut_.ids.push_back(batch.ids[t]);
      if (batch.features.data)
        features_.insert(features_.end(), batch.features.row(t),
                         batch.features.row(t) + batch.features.columns);
    }
    cut_.starts.push_back(cut_.ids.size());
  }
  cut_.features = {};
  if (batch.features.data)
    cut_.features = {features_.data(), cut_.ids.size(), batch.features.columns};
  return cut_;
}

}  // namespace rankfold
