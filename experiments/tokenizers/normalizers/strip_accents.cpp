#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

/// Leaves out combining marks.
class StripAccents : public Normalizer {
 public:
  void normalize(NormalizedText& text) const override {
    std::string out;
    out.reserve(text.text.size());
    for (std::size_t i = 0; i < text.text.size();) {
      const std::size_t begin = i;
      const bool is_mark = static_cast<unsigned char>(text.text[i]) < 0x80
                               ? (++i, false)
                               : is_combining_mark(decode_next(text.text, i));
      if (!is_mark) out.append(text.text, begin, i - begin);
      if (is_mark && begin == 0) text.is_beginning = false;
    }
    text.text = std::move(out);
  }
};

}  // namespace

std::unique_ptr<const Normalizer> read_strip_accents(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<StripAccents>();
}

}  // namespace rankfold
