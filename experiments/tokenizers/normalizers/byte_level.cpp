#include <utility>

#include "experiments/tokenizers/byte_characters.h"
#include "experiments/tokenizers/normalizers/normalizer.h"

namespace rankfold {
namespace {

class ByteLevelNormalizer : public Normalizer {
 public:
  void normalize(NormalizedText& text) const override {
    std::string out;
    out.reserve(text.text.size() + text.text.size() / 4);
    append_byte_characters(text.text, out);
    check_text_length(out.size());
    text.text = std::move(out);
  }
};

}  // namespace

std::unique_ptr<const Normalizer> read_byte_level_normalizer(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<ByteLevelNormalizer>();
}

}  // namespace rankfold
