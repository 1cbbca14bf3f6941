#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// Each character by itself: a final sigma is one like others.
class Lowercase : public Normalizer {
 public:
  void normalize(NormalizedText& text) const override {
    std::string out;
    out.reserve(text.text.size());
    for (std::size_t i = 0; i < text.text.size();) {
      const char byte = text.text[i];
      if (static_cast<unsigned char>(byte) < 0x80) {
        out += byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + ('a' - 'A')) : byte;
        ++i;
      } else {
        append_lowercase(out, decode_next(text.text, i));
      }
    }
    text.text = std::move(out);
  }
};

}  // namespace

std::unique_ptr<const Normalizer> read_lowercase(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<Lowercase>();
}

}  // namespace rankfold
