#include "experiments/models/decoder_rows.h"

#include <algorithm>
#include <optional>

#include "core/base/error.h"

namespace rankfold {

template <class Before>
DecoderPass DecoderRows::start_after(const Batch& batch, const Before& before) {
  while (counting_.size() < batch.starts.size()) counting_.push_back(counting_.size());
  positions_.clear();
  lasts_.clear();
  last_positions_.clear();
  longest_ = 0;
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    const std::size_t length = batch.starts[s + 1] - batch.starts[s], first = before(s);
    for (std::size_t place = 0; place < length; ++place) positions_.push_back(first + place);
    lasts_.push_back(batch.starts[s + 1] - 1);
    last_positions_.push_back(first + length - 1);
    longest_ = std::max(longest_, first + length);
  }
  DecoderPass pass;
  pass.starts = batch.starts;
  pass.firsts = std::span(counting_).first(batch.starts.size());
  pass.positions = positions_;
  pass.lasts = lasts_;
  pass.last_positions = last_positions_;
  pass.key_starts = pass.starts;
  pass.prefixes = batch.prefixes;
  return pass;
}

DecoderPass DecoderRows::start(const Batch& batch, std::size_t learned) {
  return start_after(batch, [&](std::size_t s) { return learned + batch.prefix_tokens(s); });
}

DecoderPass DecoderRows::start(const Batch& batch, std::span<const std::size_t> cached,
                               KeyValueCache& cache) {
  DecoderPass pass = start_after(batch, [&](std::size_t s) { return cache.tokens(cached[s]); });
  key_starts_.assign(1, 0);
  cached_queries_.assign(1, 0);
  cached_lasts_.assign(1, 0);
  const auto add = [&](std::size_t key_end, std::size_t queries, std::size_t lasts) {
    key_starts_.push_back(key_end);
    cached_queries_.push_back(cached_queries_.back() + queries);
    cached_lasts_.push_back(cached_lasts_.back() + lasts);
  };
  for (std::size_t s = 0; s < batch.sequences(); ++s) {
    const std::size_t first = cache.start(cached[s]),
                      length = batch.starts[s + 1] - batch.starts[s];
    if (first > key_starts_.back()) add(first, 0, 0);
    add(first + cache.tokens(cached[s]) + length, length, 1);
  }
  pass.cache = &cache;
  pass.cached = cached;
  pass.key_starts = key_starts_;
  pass.cached_queries = cached_queries_;
  pass.cached_lasts = cached_lasts_;
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

void check_cached(const Batch& batch, std::span<const std::size_t> cached,
                  const KeyValueCache& cache, std::size_t virtual_tokens,
                  const std::string& model) {
  if (cached.size() != batch.sequences() || !batch.prefixes.empty())
    throw Error(
        "{}: the batch has {} sequences and {} prefixes, expected {} that go on those of "
        "the cache, and none",
        model, batch.sequences(), batch.prefixes.size(), cached.size());
  for (std::size_t s = 0; s < cached.size(); ++s) {
    if (cached[s] >= cache.sequences() || (s > 0 && cached[s] <= cached[s - 1]))
      throw Error("{}: sequence {} goes on sequence {} of the cache, expected rising ones below {}",
                  model, s, cached[s], cache.sequences());
    const std::size_t count = batch.starts[s + 1] - batch.starts[s], has = cache.tokens(cached[s]),
                      before = has > 0 ? has : virtual_tokens;
    if (before + count > cache.room(cached[s]))
      throw Error("{}: {} tokens follow {}, expected at most {} together", model, count, before,
                  cache.room(cached[s]));
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
