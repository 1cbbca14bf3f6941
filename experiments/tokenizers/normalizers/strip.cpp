#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}

  void normalize(NormalizedText& text) const override {
    if (right_) text.text.resize(without_trailing_whitespace(text.text));
    const std::size_t begin = left_ ? after_leading_whitespace(text.text) : 0;
    if (begin == 0) return;
    text.text.erase(0, begin);
    text.is_beginning = false;
  }

 private:
  bool left_, right_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_strip(const JsonField& field) {
  expect_part_keys(field, {"strip_left", "strip_right"});
  return std::make_unique<Strip>(field.member("strip_left").boolean(),
                                 field.member("strip_right").boolean());
}

}  // namespace rankfold
