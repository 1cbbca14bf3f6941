#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/splitters/splitter.h"
#include "experiments/tokenizers/text_pattern.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {

/// What becomes of the matches that a text is cut at.
enum class MatchBehaviour {
  isolated,              ///< a piece each
  removed,               ///< left out
  merged_with_previous,  ///< the end of the piece before it
  merged_with_next,      ///< the beginning of the piece behind it
  contiguous             ///< adjacent matches are one piece
};

/// "Isolated", "Removed", "MergedWithPrevious", "MergedWithNext" or "Contiguous" of tokenizer.json.
MatchBehaviour read_behaviour(const JsonField& field);

/// A stretch of a text: a match, or what lies between two.
struct Stretch {
  std::size_t begin, end;
  bool is_match;
};

/// Appends the pieces that stretches (adjacent, ascending, empty ones allowed) come to, all moved
/// by `offset`. Changes the stretches.
void append_pieces(std::vector<Stretch>& stretches, MatchBehaviour behaviour, std::size_t offset,
                   std::vector<SplitText::Piece>& pieces);

/// The stretches of a text for a search that stands at its start, matches and others swapped where
/// `inverted`.
void find_stretches(TextPattern::Search& search, std::string_view text, bool inverted,
                    std::vector<Stretch>& stretches);

/// Cuts every piece at the characters for which `matches` holds.
template <class Predicate>
void cut_at_characters(SplitText& text, MatchBehaviour behaviour, const Predicate& matches) {
  std::vector<SplitText::Piece> pieces;
  std::vector<Stretch> stretches;
  for (const SplitText::Piece& piece : text.pieces) {
    const std::string_view view = text.view(piece);
    stretches.clear();
    std::size_t begin = 0;
    for (std::size_t i = 0; i < view.size();) {
      const std::size_t place = i;
      if (!matches(decode_next(view, i))) continue;
      if (begin < place) stretches.push_back({begin, place, false});
      stretches.push_back({place, i, true});
      begin = i;
    }
    if (begin < view.size()) stretches.push_back({begin, view.size(), false});
    append_pieces(stretches, behaviour, piece.begin, pieces);
  }
  text.pieces = std::move(pieces);
}

}  // namespace rankfold
