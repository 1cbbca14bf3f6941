#include <array>
#include <utility>

#include "experiments/tokenizers/decoders/token_decoder.h"

namespace rankfold {
namespace {

/// No space before punctuation and contractions.
constexpr std::array<std::pair<std::string_view, std::string_view>, 11> tidied = {{
    {" .", "."},
    {" ?", "?"},
    {" !", "!"},
    {" ,", ","},
    {" ' ", "'"},
    {" n't", "n't"},
    {" 'm", "'m"},
    {" do not", " don't"},
    {" 's", "'s"},
    {" 've", "'ve"},
    {" 're", "'re"},
}};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
}

class WordPieceDecoder : public TokenDecoder {
 public:
  WordPieceDecoder(std::string prefix, bool tidies) : prefix_(std::move(prefix)), tidies_(tidies) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string& token = tokens[i];
      if (i > 0 && token.starts_with(prefix_))
        token.erase(0, prefix_.size());
      else if (i > 0)
        token.insert(0, 1, ' ');
      if (!tidies_) continue;
      for (const auto& [from, to] : tidied) replace_all(token, from, to);
    }
  }

 private:
  std::string prefix_;
  bool tidies_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_word_piece_decoder(const JsonField& field) {
  expect_part_keys(field, {"prefix", "cleanup"});
  return make_word_piece_decoder(field.member("prefix").string(),
                                 field.member("cleanup").boolean());
}

std::unique_ptr<const TokenDecoder> make_word_piece_decoder(std::string prefix, bool tidies) {
  return std::make_unique<WordPieceDecoder>(std::move(prefix), tidies);
}

}  // namespace rankfold
