#include "experiments/tokenizers/models/byte_pairs.h"

#include <algorithm>
#include <limits>
#include <queue>
#include <tuple>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// Up to here all pairs are looked through for each merge.
constexpr std::size_t longest_short_piece = 32;

}  // namespace

BytePairs::BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges,
                     BytePairOptions options)
    : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
  if (options_.unknown_token) {
    unknown_id_ = vocabulary_.find(*options_.unknown_token);
    if (!unknown_id_)
      throw Error("found no '{}' in the vocabulary, expected the unknown token",
                  printable(*options_.unknown_token, 80));
  }
  for (std::size_t i = 0; i < ascii_ids_.size(); ++i) {
    const char character = static_cast<char>(i);
    ascii_ids_[i] = vocabulary_.find({&character, 1}).value_or(-1);
  }
  for (std::size_t i = 0; i < byte_ids_.size(); ++i)
    byte_ids_[i] = vocabulary_.find(byte_token(static_cast<char>(i))).value_or(-1);
  std::size_t slots = 64;
  while (slots < 2 * merges.size()) slots *= 2;
  merges_.resize(slots);
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right, rank] = merges[i];
    const auto require = [&](const std::string& token) {
      if (const auto id = vocabulary_.find(token)) return *id;
      throw Error("merge {} ('{}' and '{}'): found no '{}' in the vocabulary, expected this token",
                  i, printable(left, 80), printable(right, 80), printable(token, 80));
    };
    const std::size_t prefix = std::min(options_.continuing_prefix.size(), right.size());
    add_merge(require(left), require(right), {rank, require(left + right.substr(prefix))});
  }
}

std::size_t BytePairs::merge_slot(std::uint64_t pair) const {
  const std::size_t mask = merges_.size() - 1;
  std::uint64_t mixed = pair * 0x9E3779B97F4A7C15u;
  mixed ^= mixed >> 29;
  std::size_t slot = static_cast<std::size_t>(mixed) & mask;
  while (merges_[slot].used && merges_[slot].pair != pair) slot = (slot + 1) & mask;
  return slot;
}

void BytePairs::add_merge(std::int32_t left, std::int32_t right, Merged merged) {
  const std::uint64_t pair =
      std::uint64_t(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  merges_[merge_slot(pair)] = {pair, merged, true};
}

const BytePairs::Merged* BytePairs::find_merge(std::int32_t left, std::int32_t right) const {
  const std::uint64_t pair =
      std::uint64_t(static_cast<std::uint32_t>(left)) << 32 | static_cast<std::uint32_t>(right);
  const MergeSlot& slot = merges_[merge_slot(pair)];
  return slot.used ? &slot.merged : nullptr;
}

void BytePairs::append_ids(std::string_view piece, std::vector<std::int32_t>& ids) const {
  const bool is_kept = piece.size() <= WordCache::longest_word;
  if (is_kept && cache_.append_ids(piece, ids)) return;
  const std::size_t begin = ids.size();
  if (options_.ignores_merges)
    if (const auto id = vocabulary_.find(piece)) {
      ids.push_back(*id);
      if (is_kept) cache_.keep(piece, ids.data() + begin, 1);
      return;
    }
  append_symbols(piece, ids);
  if (ids.size() - begin <= longest_short_piece)
    merge_short(ids, begin);
  else
    merge_long(ids, begin);
  if (is_kept) cache_.keep(piece, ids.data() + begin, ids.size() - begin);
}

/// What is unknown is written when a known symbol, or the end, comes.
void BytePairs::append_symbols(std::string_view piece, std::vector<std::int32_t>& symbols) const {
  std::size_t unknown = 0;
  std::string enclosed;
  for (std::size_t i = 0; i < piece.size();) {
    const std::size_t begin = i;
    decode_next(piece, i);
    std::string_view symbol = piece.substr(begin, i - begin);
    const bool is_continued = begin > 0 && !options_.continuing_prefix.empty();
    if (is_continued || (i == piece.size() && !options_.end_suffix.empty())) {
      enclosed = is_continued ? options_.continuing_prefix : "";
      enclosed += symbol;
      if (i == piece.size()) enclosed += options_.end_suffix;
      symbol = enclosed;
    }
    const std::int32_t id = find_symbol(symbol);
    if (id >= 0) {
      symbols.insert(symbols.end(), unknown, unknown_id_.value_or(0));
      unknown = 0;
      symbols.push_back(id);
      continue;
    }
    const auto byte_id = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    if (options_.byte_fallback &&
        std::ranges::all_of(symbol, [&](char byte) { return byte_id(byte) >= 0; })) {
      for (const char byte : symbol) symbols.push_back(byte_id(byte));
      continue;
    }
    if (unknown_id_) unknown = options_.fuses_unknown ? 1 : unknown + 1;
  }
  symbols.insert(symbols.end(), unknown, unknown_id_.value_or(0));
}

/// -1: none.
std::int32_t BytePairs::find_symbol(std::string_view symbol) const {
  const auto byte = static_cast<unsigned char>(symbol[0]);
  if (symbol.size() == 1 && byte < ascii_ids_.size()) return ascii_ids_[byte];
  return vocabulary_.find(symbol).value_or(-1);
}

void BytePairs::merge_short(std::vector<std::int32_t>& symbols, std::size_t begin) const {
  constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();
  std::size_t count = symbols.size() - begin;
  std::int32_t* const ids = symbols.data() + begin;
  std::array<Merged, longest_short_piece> pairs;
  const auto look_up = [&](std::size_t i) {
    const Merged* merged = find_merge(ids[i], ids[i + 1]);
    pairs[i] = merged != nullptr ? *merged : Merged{none, 0};
  };
  for (std::size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    const auto best =
        std::min_element(pairs.begin(), pairs.begin() + static_cast<std::ptrdiff_t>(count - 1),
                         [](const Merged& a, const Merged& b) { return a.rank < b.rank; });
    if (best->rank == none) break;
    const auto place = static_cast<std::size_t>(best - pairs.begin());
    ids[place] = best->id;
    std::copy(ids + place + 2, ids + count, ids + place + 1);
    std::copy(pairs.begin() + static_cast<std::ptrdiff_t>(place + 1),
              pairs.begin() + static_cast<std::ptrdiff_t>(count - 1),
              pairs.begin() + static_cast<std::ptrdiff_t>(place));
    --count;
    if (place > 0) look_up(place - 1);
    if (place + 1 < count) look_up(place);
  }
  symbols.resize(begin + count);
}

void BytePairs::merge_long(std::vector<std::int32_t>& symbols, std::size_t begin) const {
  const std::size_t count = symbols.size() - begin;
  std::int32_t* const ids = symbols.data() + begin;
  // -1 marks a symbol that another has taken up; its neighbours are linked.
  std::vector<std::uint32_t> previous(count), next(count);
  for (std::size_t i = 0; i < count; ++i) {
    previous[i] = static_cast<std::uint32_t>(i - 1);
    next[i] = static_cast<std::uint32_t>(i + 1);
  }
  using Candidate = std::tuple<std::uint32_t, std::uint32_t, std::int32_t>;  // rank, place, new id
  std::vector<Candidate> candidates;
  const auto candidate = [&](std::size_t place) -> std::optional<Candidate> {
    if (next[place] >= count) return std::nullopt;
    const Merged* merged = find_merge(ids[place], ids[next[place]]);
    if (merged == nullptr) return std::nullopt;
    return Candidate(merged->rank, static_cast<std::uint32_t>(place), merged->id);
  };
  for (std::size_t i = 0; i < count; ++i)
    if (const auto found = candidate(i)) candidates.push_back(*found);
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue(
      std::greater<>(), std::move(candidates));
  while (!queue.empty()) {
    const auto [rank, place, id] = queue.top();
    queue.pop();
    if (ids[place] < 0) continue;
    const auto still = candidate(place);
    if (!still || std::get<2>(*still) != id) continue;
    const std::size_t right = next[place];
    ids[place] = id;
    ids[right] = -1;
    next[place] = next[right];
    if (next[place] < count) previous[next[place]] = place;
    if (place > 0)
      if (const auto found = candidate(previous[place])) queue.push(*found);
    if (const auto found = candidate(place)) queue.push(*found);
  }
  const auto end =
      std::remove(symbols.begin() + static_cast<std::ptrdiff_t>(begin), symbols.end(), -1);
  symbols.erase(end, symbols.end());
}

}  // namespace rankfold
