#include <utility>

#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

class PatternSplitter : public Splitter {
 public:
  PatternSplitter(TextPattern pattern, MatchBehaviour behaviour, bool inverted)
      : pattern_(std::move(pattern)), behaviour_(behaviour), inverted_(inverted) {}

  void split(SplitText& text) const override {
    std::vector<SplitText::Piece> pieces;
    pieces.reserve(text.text.size() / 5 + text.pieces.size());
    std::vector<Stretch> stretches;
    TextPattern::Search search(pattern_);
    for (const SplitText::Piece& piece : text.pieces) {
      find_stretches(search, text.view(piece), inverted_, stretches);
      append_pieces(stretches, behaviour_, piece.begin, pieces);
    }
    text.pieces = std::move(pieces);
  }

 private:
  TextPattern pattern_;
  MatchBehaviour behaviour_;
  bool inverted_;
};

}  // namespace

std::unique_ptr<const Splitter> read_pattern_splitter(const JsonField& field) {
  expect_part_keys(field, {"pattern", "behavior", "invert"});
  return std::make_unique<PatternSplitter>(read_pattern(field.member("pattern")),
                                           read_behaviour(field.member("behavior")),
                                           field.boolean_member("invert", false));
}

}  // namespace rankfold
