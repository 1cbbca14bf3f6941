#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/unicode_forms.h"

namespace rankfold {
namespace {

class FormNormalizer : public Normalizer {
 public:
  explicit FormNormalizer(UnicodeForm form) : form_(form) {}

  void normalize(NormalizedText& text) const override {
    text.text = to_form(text.text, form_);
    check_text_length(text.text.size());
  }

 private:
  UnicodeForm form_;
};

std::unique_ptr<const Normalizer> read_form(const JsonField& field, UnicodeForm form) {
  expect_part_keys(field, {});
  return std::make_unique<FormNormalizer>(form);
}

}  // namespace

std::unique_ptr<const Normalizer> read_nfc(const JsonField& field) {
  return read_form(field, UnicodeForm::nfc);
}

std::unique_ptr<const Normalizer> read_nfd(const JsonField& field) {
  return read_form(field, UnicodeForm::nfd);
}

std::unique_ptr<const Normalizer> read_nfkc(const JsonField& field) {
  return read_form(field, UnicodeForm::nfkc);
}

std::unique_ptr<const Normalizer> read_nfkd(const JsonField& field) {
  return read_form(field, UnicodeForm::nfkd);
}

}  // namespace rankfold
