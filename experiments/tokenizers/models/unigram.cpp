#include "experiments/tokenizers/models/unigram.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

constexpr double unknown_penalty = 10;

}  // namespace

Unigram::Unigram(Vocabulary vocabulary, std::vector<double> scores,
                 std::optional<std::int32_t> unknown_id, bool byte_fallback)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      unknown_id_(unknown_id),
      byte_fallback_(byte_fallback),
      unknown_score_(std::numeric_limits<double>::infinity()) {
  if (scores_.size() != vocabulary_.size() || vocabulary_.ids().size() != scores_.size())
    throw std::logic_error("Unigram: the scores do not belong to the vocabulary");
  for (std::size_t i = 0; i < scores_.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    tree_.insert(*vocabulary_.content(id), id);
    unknown_score_ = std::min(unknown_score_, scores_[i]);
  }
  unknown_score_ -= unknown_penalty;
  for (std::size_t i = 0; i < byte_ids_.size(); ++i)
    byte_ids_[i] = vocabulary_.find(byte_token(static_cast<char>(i))).value_or(-1);
}

/// paths[i] becomes the best path through the first i bytes.
void Unigram::find_paths(std::string_view piece, BestPath* paths) const {
  std::fill(paths, paths + piece.size() + 1, BestPath{0, 0, none});
  for (std::size_t begin = 0; begin < piece.size();) {
    std::size_t next = begin;
    decode_next(piece, next);
    const double score = paths[begin].score;
    bool is_covered = false;
    const auto offer = [&](std::size_t end, std::int32_t id, double total) {
      if (paths[end].begin == none || total > paths[end].score)
        paths[end] = {total, id, static_cast<std::uint32_t>(begin)};
    };
    tree_.for_each_prefix(piece.substr(begin), [&](std::size_t length, std::int32_t id) {
      offer(begin + length, id, scores_[static_cast<std::size_t>(id)] + score);
      is_covered = is_covered || begin + length == next;
    });
    if (!is_covered) {
      if (!unknown_id_)
        throw Error("no token covers '{}', and the model has no unknown token",
                    printable(piece.substr(begin, next - begin), 20));
      offer(next, *unknown_id_, unknown_score_ + score);
    }
    begin = next;
  }
}

/// A token, or adjacent unknown ones as one.
void Unigram::append_stretch(std::string_view stretch, std::vector<std::int32_t>& ids) const {
  if (const auto id = vocabulary_.find(stretch)) return ids.push_back(*id);
  const auto byte_id = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
  if (byte_fallback_ &&
      std::ranges::all_of(stretch, [&](char byte) { return byte_id(byte) >= 0; })) {
    for (const char byte : stretch) ids.push_back(byte_id(byte));
    return;
  }
  ids.push_back(*unknown_id_);
}

void Unigram::append_ids(std::string_view piece, std::vector<std::int32_t>& ids) const {
  const bool is_kept = piece.size() <= WordCache::longest_word;
  if (is_kept && cache_.append_ids(piece, ids)) return;
  std::array<BestPath, WordCache::longest_word + 1> few;
  std::vector<BestPath> many(is_kept ? 0 : piece.size() + 1);
  BestPath* const paths = is_kept ? few.data() : many.data();
  find_paths(piece, paths);
  std::vector<std::string_view> stretches;
  std::size_t unknown_end = 0;  // of a stretch that is not written yet; 0: none
  std::size_t end = piece.size();
  while (end > 0) {
    const BestPath& path = paths[end];
    const bool is_unknown = unknown_id_ && path.id == *unknown_id_;
    if (is_unknown && unknown_end == 0) unknown_end = end;
    if (!is_unknown) {
      if (unknown_end > 0) stretches.push_back(piece.substr(end, unknown_end - end));
      unknown_end = 0;
      stretches.push_back(piece.substr(path.begin, end - path.begin));
    }
    end = path.begin;
  }
  if (unknown_end > 0) stretches.push_back(piece.substr(0, unknown_end));
  const std::size_t first = ids.size();
  for (auto stretch = stretches.rbegin(); stretch != stretches.rend(); ++stretch)
    append_stretch(*stretch, ids);
  if (is_kept) cache_.keep(piece, ids.data() + first, ids.size() - first);
}

}  // namespace rankfold
