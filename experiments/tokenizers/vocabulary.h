#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// The tokens of a model with their ids, each of which occurs once.
class Vocabulary {
 public:
  Vocabulary() = default;

  /// False, and nothing is changed, where the token is there. The id must not be negative.
  bool insert(std::string_view token, std::int32_t id);

  /// Sorts the ids; called when all tokens are there. The smallest id that two tokens have, if any.
  std::optional<std::int32_t> seal();

  std::optional<std::int32_t> find(std::string_view token) const;

  // What follows is known when it is sealed.

  /// Ascending.
  const std::vector<std::int32_t>& ids() const { return ids_; }
  bool has_id(std::int32_t id) const { return place_of(id).has_value(); }
  /// The token of an id; views stay as long as the vocabulary is not changed.
  std::optional<std::string_view> content(std::int32_t id) const;
  /// The largest id + 1.
  std::size_t size() const { return ids_.empty() ? 0 : static_cast<std::size_t>(ids_.back()) + 1; }

 private:
  struct Entry {
    std::size_t begin;
    std::uint32_t length;
    std::int32_t id;
  };
  std::string_view view(const Entry& entry) const {
    return std::string_view(bytes_).substr(entry.begin, entry.length);
  }
  std::size_t slot_of(std::string_view token) const;
  std::optional<std::size_t> place_of(std::int32_t id) const;

  std::string bytes_;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  // entry + 1; 0: empty
  std::vector<std::int32_t> ids_;
  std::vector<std::uint32_t> by_id_;  // the entry of ids_[i]
};

}  // namespace rankfold
