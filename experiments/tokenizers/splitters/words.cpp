#include <utility>

#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

/// Words, and runs of what is neither a word nor white space; what a word is by Unicode, not by
/// Oniguruma.
class WordSplitter : public Splitter {
 public:
  void split(SplitText& text) const override {
    std::vector<SplitText::Piece> pieces;
    for (const SplitText::Piece& piece : text.pieces) {
      const std::string_view view = text.view(piece);
      Kind run = Kind::space;
      std::size_t begin = 0;
      for (std::size_t i = 0; i < view.size();) {
        const std::size_t place = i;
        const Kind kind = kind_of(decode_next(view, i));
        if (kind == run) continue;
        if (run != Kind::space) pieces.push_back({piece.begin + begin, piece.begin + place});
        begin = place;
        run = kind;
      }
      if (run != Kind::space) pieces.push_back({piece.begin + begin, piece.end});
    }
    text.pieces = std::move(pieces);
  }

 private:
  enum class Kind { space, word, other };

  static Kind kind_of(char32_t character) {
    if (is_word_character(character)) return Kind::word;
    return is_whitespace(character) ? Kind::space : Kind::other;
  }
};

}  // namespace

std::unique_ptr<const Splitter> read_word_splitter(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<WordSplitter>();
}

}  // namespace rankfold
