#include "experiments/tokenizers/bert_normalizer.h"
#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

class BertNormalizerStep : public Normalizer {
 public:
  explicit BertNormalizerStep(const BertNormalizerOptions& options) : normalizer_(options) {}

  void normalize(NormalizedText& text) const override {
    // Whether the first character was dropped.
    if (!text.text.empty()) {
      std::size_t end = 0;
      decode_next(text.text, end);
      if (normalizer_.normalize(std::string_view(text.text).substr(0, end)).empty())
        text.is_beginning = false;
    }
    text.text = normalizer_.normalize(text.text);
  }

 private:
  BertNormalizer normalizer_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_bert_normalizer(const JsonField& field) {
  expect_part_keys(field, {"clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  BertNormalizerOptions options;
  options.clean_text = field.boolean_member("clean_text", true);
  options.handle_chinese_chars = field.boolean_member("handle_chinese_chars", true);
  options.lowercase = field.boolean_member("lowercase", true);
  options.strip_accents = field.boolean_member("strip_accents", options.lowercase);
  return std::make_unique<BertNormalizerStep>(options);
}

}  // namespace rankfold
