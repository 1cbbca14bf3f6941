#include <optional>
#include <utility>

#include "experiments/tokenizers/byte_characters.h"
#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

/// GPT-2's (Radford et al., 2019): contractions, words, numbers, other characters, white space;
/// then each byte as a character.
constexpr const char* gpt2_expression =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

class ByteLevelSplitter : public Splitter {
 public:
  ByteLevelSplitter(bool adds_prefix_space, bool splits) : adds_prefix_space_(adds_prefix_space) {
    if (splits) pattern_ = TextPattern::regex(gpt2_expression);
  }

  void split(SplitText& text) const override {
    std::string out, spaced;
    out.reserve(text.text.size() + text.text.size() / 4 + 1);
    std::vector<SplitText::Piece> pieces;
    pieces.reserve(pattern_ ? text.text.size() / 4 + 1 : text.pieces.size());
    std::vector<Stretch> stretches;
    std::optional<TextPattern::Search> search;
    if (pattern_) search.emplace(*pattern_);
    for (const SplitText::Piece& piece : text.pieces) {
      std::string_view view = text.view(piece);
      if (adds_prefix_space_ && view.front() != ' ') {
        spaced = ' ';
        view = spaced.append(view);
      }
      if (search)
        find_stretches(*search, view, false, stretches);
      else
        stretches.assign(1, {0, view.size(), false});
      for (const Stretch& stretch : stretches) {
        const std::size_t begin = out.size();
        append_byte_characters(view.substr(stretch.begin, stretch.end - stretch.begin), out);
        if (out.size() > begin) pieces.push_back({begin, out.size()});
      }
      check_text_length(out.size());
    }
    text.is_beginning = text.is_beginning && !text.pieces.empty() && text.pieces[0].begin == 0;
    text.text = std::move(out);
    text.pieces = std::move(pieces);
  }

 private:
  bool adds_prefix_space_;
  std::optional<TextPattern> pattern_;
};

}  // namespace

std::unique_ptr<const Splitter> read_byte_level_splitter(const JsonField& field) {
  // Where offsets are trimmed changes no id.
  expect_part_keys(field, {"add_prefix_space", "trim_offsets", "use_regex"});
  return std::make_unique<ByteLevelSplitter>(field.member("add_prefix_space").boolean(),
                                             field.boolean_member("use_regex", true));
}

}  // namespace rankfold
