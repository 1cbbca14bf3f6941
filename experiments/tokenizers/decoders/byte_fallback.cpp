#include <charconv>
#include <optional>

#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// The byte of "<0x0A>".
std::optional<char> byte_of_token(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || !token.ends_with('>')) return std::nullopt;
  unsigned value = 0;
  const auto [end, failure] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (failure != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

/// Adjacent tokens of bytes ("<0x0A>") become the text that they spell, or U+FFFD each where they
/// spell none.
class ByteFallbackDecoder : public TokenDecoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::vector<std::string> decoded;
    std::string bytes;
    const auto flush = [&] {
      if (is_valid_utf8(bytes)) {
        if (!bytes.empty()) decoded.push_back(bytes);
      } else {
        decoded.insert(decoded.end(), bytes.size(), "\uFFFD");
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = byte_of_token(token)) {
        bytes += *byte;
        continue;
      }
      flush();
      decoded.push_back(std::move(token));
    }
    flush();
    tokens = std::move(decoded);
  }
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_byte_fallback_decoder(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<ByteFallbackDecoder>();
}

}  // namespace rankfold
