#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace rankfold {

/// The tokens of words that were split before. Each place holds the last word that fell into it;
/// a thread that finds a place in use by another goes without, so none waits and results do not
/// depend on it.
class WordCache {
 public:
  static constexpr std::size_t longest_word = 31, most_ids = 7;

  WordCache() : places_(std::make_unique<Place[]>(place_count)) {}

  /// False where the word is not there.
  bool append_ids(std::string_view word, std::vector<std::int32_t>& ids) const {
    Place& place = place_of(word);
    if (place.in_use.test_and_set(std::memory_order_acquire)) return false;
    const bool found =
        place.length == word.size() && std::memcmp(place.word, word.data(), word.size()) == 0;
    if (found) ids.insert(ids.end(), place.ids, place.ids + place.count);
    place.in_use.clear(std::memory_order_release);
    return found;
  }

  /// A word that is not empty, with `count` ids; longer ones are not kept.
  void keep(std::string_view word, const std::int32_t* ids, std::size_t count) const {
    if (word.size() > longest_word || count > most_ids) return;
    Place& place = place_of(word);
    if (place.in_use.test_and_set(std::memory_order_acquire)) return;
    place.length = static_cast<std::uint8_t>(word.size());
    place.count = static_cast<std::uint8_t>(count);
    std::memcpy(place.word, word.data(), word.size());
    std::memcpy(place.ids, ids, count * sizeof(std::int32_t));
    place.in_use.clear(std::memory_order_release);
  }

 private:
  static constexpr std::size_t place_count = std::size_t{1} << 14;

  struct alignas(64) Place {
    std::atomic_flag in_use;
    std::uint8_t length = 0, count = 0;
    char word[longest_word];
    std::int32_t ids[most_ids];
  };

  Place& place_of(std::string_view word) const {
    return places_[std::hash<std::string_view>()(word) % place_count];
  }

  std::unique_ptr<Place[]> places_;
};

}  // namespace rankfold
