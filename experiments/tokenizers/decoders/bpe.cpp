#include <utility>

#include "experiments/tokenizers/decoders/token_decoder.h"

namespace rankfold {
namespace {

/// The suffix of a word's last token becomes a space, that of the last token of all nothing.
class SuffixDecoder : public TokenDecoder {
 public:
  explicit SuffixDecoder(std::string suffix) : suffix_(std::move(suffix)) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      std::string out;
      std::size_t kept_from = 0;
      for (std::size_t place = tokens[i].find(suffix_); place != std::string::npos;
           place = tokens[i].find(suffix_, kept_from)) {
        out.append(tokens[i], kept_from, place - kept_from);
        if (i + 1 < tokens.size()) out += ' ';
        kept_from = place + suffix_.size();
      }
      tokens[i] = out.append(tokens[i], kept_from);
    }
  }

 private:
  std::string suffix_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_bpe_decoder(const JsonField& field) {
  expect_part_keys(field, {"suffix"});
  const JsonField suffix = field.member("suffix");
  if (suffix.string().empty()) suffix.refuse("''", "the suffix of words");
  return std::make_unique<SuffixDecoder>(suffix.string());
}

}  // namespace rankfold
