#include <utility>

#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

constexpr std::int64_t most_stripped = 1 << 20;

/// Up to so many of one character at both ends of every token.
class StripDecoder : public TokenDecoder {
 public:
  StripDecoder(std::string content, std::size_t start, std::size_t stop)
      : content_(std::move(content)), start_(start), stop_(stop) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (std::string& token : tokens) {
      std::string_view kept = token;
      for (std::size_t i = 0; i < start_ && kept.starts_with(content_); ++i)
        kept.remove_prefix(content_.size());
      for (std::size_t i = 0; i < stop_ && kept.ends_with(content_); ++i)
        kept.remove_suffix(content_.size());
      token = std::string(kept);
    }
  }

 private:
  std::string content_;
  std::size_t start_, stop_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_strip_decoder(const JsonField& field) {
  expect_part_keys(field, {"content", "start", "stop"});
  std::string content;
  append_utf8(content, read_character(field.member("content")));
  const auto count = [&](const char* key) {
    return static_cast<std::size_t>(field.member(key).integer(0, most_stripped));
  };
  return std::make_unique<StripDecoder>(std::move(content), count("start"), count("stop"));
}

}  // namespace rankfold
