#include <utility>

#include "experiments/tokenizers/splitters/metaspace.h"
#include "experiments/tokenizers/splitters/splitter.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// SentencePiece's (Kudo and Richardson, 2018): a space is a character of its own, which begins
/// words.
class MetaspaceSplitter : public Splitter {
 public:
  explicit MetaspaceSplitter(MetaspaceOptions options) : options_(std::move(options)) {}

  void split(SplitText& text) const override {
    const std::string& mark = options_.replacement;
    std::string out;
    out.reserve(text.text.size() + text.text.size() / 2 + mark.size());
    std::vector<SplitText::Piece> pieces;
    for (const SplitText::Piece& piece : text.pieces) {
      const std::string_view view = text.view(piece);
      const bool begins = piece.begin == 0 && text.is_beginning;
      const bool prepends = options_.prepend == MetaspaceOptions::Prepend::always ||
                            (options_.prepend == MetaspaceOptions::Prepend::first && begins);
      std::size_t begin = out.size();
      if (prepends && view.front() != ' ' && !view.starts_with(mark)) out += mark;
      for (std::size_t i = 0; i < view.size();) {
        const bool is_space = view[i] == ' ', is_mark = view.substr(i).starts_with(mark);
        if (options_.splits && (is_space || is_mark) && out.size() > begin) {
          pieces.push_back({begin, out.size()});
          begin = out.size();
        }
        if (is_space || is_mark) {
          out += mark;
          i += is_space ? 1 : mark.size();
        } else {
          out += view[i++];
        }
      }
      check_text_length(out.size());
      if (out.size() > begin) pieces.push_back({begin, out.size()});
    }
    text.is_beginning = text.is_beginning && !text.pieces.empty() && text.pieces[0].begin == 0;
    text.text = std::move(out);
    text.pieces = std::move(pieces);
  }

 private:
  MetaspaceOptions options_;
};

}  // namespace

MetaspaceOptions read_metaspace(const JsonField& field) {
  expect_part_keys(field, {"replacement", "prepend_scheme", "add_prefix_space", "split"});
  MetaspaceOptions options;
  options.replacement.clear();
  append_utf8(options.replacement, read_character(field.member("replacement")));
  using Prepend = MetaspaceOptions::Prepend;
  if (const auto scheme = field.optional_member("prepend_scheme")) {
    scheme->expect_one_of({"always", "first", "never"});
    options.prepend = scheme->string() == "always"  ? Prepend::always
                      : scheme->string() == "first" ? Prepend::first
                                                    : Prepend::never;
  }
  // Before there were schemes.
  if (const auto adds = field.optional_member("add_prefix_space"); adds && !adds->boolean()) {
    if (field.optional_member("prepend_scheme") && options.prepend != Prepend::never)
      adds->refuse("false", "true as prepend_scheme has it");
    options.prepend = Prepend::never;
  }
  options.splits = field.boolean_member("split", true);
  return options;
}

std::unique_ptr<const Splitter> read_metaspace_splitter(const JsonField& field) {
  return std::make_unique<MetaspaceSplitter>(read_metaspace(field));
}

}  // namespace rankfold
