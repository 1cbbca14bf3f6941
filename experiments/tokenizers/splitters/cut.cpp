#include "experiments/tokenizers/splitters/cut.h"

#include <algorithm>

namespace rankfold {
namespace {

/// In the given order a match joins what came before it, unless that was a match too.
void merge_matches(std::vector<Stretch>& stretches, MatchBehaviour behaviour) {
  const bool backwards = behaviour == MatchBehaviour::merged_with_next;
  if (backwards) std::ranges::reverse(stretches);
  std::size_t kept = 0;
  bool previous = false;
  for (const Stretch& stretch : stretches) {
    const bool joins = behaviour == MatchBehaviour::contiguous ? stretch.is_match == previous
                                                               : stretch.is_match && !previous;
    previous = stretch.is_match;
    if (joins && kept > 0) {
      Stretch& last = stretches[kept - 1];
      last.begin = std::min(last.begin, stretch.begin);
      last.end = std::max(last.end, stretch.end);
    } else {
      stretches[kept++] = stretch;
    }
  }
  stretches.resize(kept);
  if (backwards) std::ranges::reverse(stretches);
}

}  // namespace

MatchBehaviour read_behaviour(const JsonField& field) {
  field.expect_one_of(
      {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"});
  const std::string& name = field.string();
  if (name == "Isolated") return MatchBehaviour::isolated;
  if (name == "Removed") return MatchBehaviour::removed;
  if (name == "MergedWithPrevious") return MatchBehaviour::merged_with_previous;
  return name == "MergedWithNext" ? MatchBehaviour::merged_with_next : MatchBehaviour::contiguous;
}

void append_pieces(std::vector<Stretch>& stretches, MatchBehaviour behaviour, std::size_t offset,
                   std::vector<SplitText::Piece>& pieces) {
  const bool removes = behaviour == MatchBehaviour::removed;
  if (!removes && behaviour != MatchBehaviour::isolated) merge_matches(stretches, behaviour);
  for (const Stretch& stretch : stretches)
    if (stretch.end > stretch.begin && !(removes && stretch.is_match))
      pieces.push_back({offset + stretch.begin, offset + stretch.end});
}

void find_stretches(TextPattern::Search& search, std::string_view text, bool inverted,
                    std::vector<Stretch>& stretches) {
  stretches.clear();
  std::size_t begin = 0;
  search.start(text);
  while (const auto match = search.next()) {
    if (begin != match->begin) stretches.push_back({begin, match->begin, inverted});
    stretches.push_back({match->begin, match->end, !inverted});
    begin = match->end;
  }
  if (begin != text.size()) stretches.push_back({begin, text.size(), inverted});
}

}  // namespace rankfold
