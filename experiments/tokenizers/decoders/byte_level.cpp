#include "experiments/tokenizers/byte_characters.h"
#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// The bytes of GPT-2's characters; a token with others is what it is.
class ByteLevelDecoder : public TokenDecoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) append_bytes(token, bytes);
    std::string text;
    for (std::size_t i = 0; i < bytes.size();) append_utf8(text, decode_next(bytes, i));
    tokens.assign(1, std::move(text));
  }

 private:
  static void append_bytes(const std::string& token, std::string& bytes) {
    const std::size_t begin = bytes.size();
    for (std::size_t i = 0; i < token.size();) {
      const auto byte = byte_of_character(decode_next(token, i));
      if (!byte) {
        bytes.resize(begin);
        bytes += token;
        return;
      }
      bytes += *byte;
    }
  }
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_byte_level_decoder(const JsonField& field) {
  // They change what is split, not what is put together.
  expect_part_keys(field, {"add_prefix_space", "trim_offsets", "use_regex"});
  return std::make_unique<ByteLevelDecoder>();
}

}  // namespace rankfold
