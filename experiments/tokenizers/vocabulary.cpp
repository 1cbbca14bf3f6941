#include "experiments/tokenizers/vocabulary.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace rankfold {

std::size_t Vocabulary::slot_of(std::string_view token) const {
  const std::size_t mask = slots_.size() - 1;
  std::size_t slot = std::hash<std::string_view>()(token) & mask;
  while (slots_[slot] != 0 && view(entries_[slots_[slot] - 1]) != token) slot = (slot + 1) & mask;
  return slot;
}

bool Vocabulary::insert(std::string_view token, std::int32_t id) {
  if (2 * (entries_.size() + 1) > slots_.size()) {
    slots_.assign(std::max<std::size_t>(64, 2 * slots_.size()), 0);
    for (std::size_t i = 0; i < entries_.size(); ++i)
      slots_[slot_of(view(entries_[i]))] = static_cast<std::uint32_t>(i + 1);
  }
  const std::size_t slot = slot_of(token);
  if (slots_[slot] != 0) return false;
  entries_.push_back({bytes_.size(), static_cast<std::uint32_t>(token.size()), id});
  bytes_ += token;
  slots_[slot] = static_cast<std::uint32_t>(entries_.size());
  return true;
}

std::optional<std::int32_t> Vocabulary::seal() {
  by_id_.resize(entries_.size());
  std::iota(by_id_.begin(), by_id_.end(), 0u);
  std::ranges::sort(by_id_, {}, [&](std::uint32_t entry) { return entries_[entry].id; });
  ids_.clear();
  for (const std::uint32_t entry : by_id_) ids_.push_back(entries_[entry].id);
  const auto repeated = std::ranges::adjacent_find(ids_);
  if (repeated == ids_.end()) return std::nullopt;
  return *repeated;
}

std::optional<std::int32_t> Vocabulary::find(std::string_view token) const {
  if (slots_.empty()) return std::nullopt;
  const std::uint32_t entry = slots_[slot_of(token)];
  if (entry == 0) return std::nullopt;
  return entries_[entry - 1].id;
}

std::optional<std::size_t> Vocabulary::place_of(std::int32_t id) const {
  // Ids are mostly 0, 1, 2, ...
  const auto guess = static_cast<std::size_t>(id);
  if (id >= 0 && guess < ids_.size() && ids_[guess] == id) return guess;
  const auto found = std::ranges::lower_bound(ids_, id);
  if (found == ids_.end() || *found != id) return std::nullopt;
  return static_cast<std::size_t>(found - ids_.begin());
}

std::optional<std::string_view> Vocabulary::content(std::int32_t id) const {
  const auto place = place_of(id);
  if (!place) return std::nullopt;
  return view(entries_[by_id_[*place]]);
}

}  // namespace rankfold
