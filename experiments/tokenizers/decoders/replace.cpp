#include <utility>

#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/text_pattern.h"

namespace rankfold {
namespace {

class ReplaceDecoder : public TokenDecoder {
 public:
  ReplaceDecoder(TextPattern pattern, std::string content)
      : pattern_(std::move(pattern)), content_(std::move(content)) {}

  void decode(std::vector<std::string>& tokens) const override {
    TextPattern::Search search(pattern_);
    for (std::string& token : tokens) {
      std::string out;
      std::size_t kept_from = 0;
      search.start(token);
      while (const auto match = search.next()) {
        out.append(token, kept_from, match->begin - kept_from);
        out += content_;
        check_text_length(out.size());
        kept_from = match->end;
      }
      token = out.append(token, kept_from);
    }
  }

 private:
  TextPattern pattern_;
  std::string content_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_replace_decoder(const JsonField& field) {
  expect_part_keys(field, {"pattern", "content"});
  return std::make_unique<ReplaceDecoder>(read_pattern(field.member("pattern")),
                                          field.member("content").string());
}

}  // namespace rankfold
