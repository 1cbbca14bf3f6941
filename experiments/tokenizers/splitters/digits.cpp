#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

class DigitsSplitter : public Splitter {
 public:
  explicit DigitsSplitter(bool individually)
      : behaviour_(individually ? MatchBehaviour::isolated : MatchBehaviour::contiguous) {}

  void split(SplitText& text) const override { cut_at_characters(text, behaviour_, is_numeric); }

 private:
  MatchBehaviour behaviour_;
};

}  // namespace

std::unique_ptr<const Splitter> read_digits_splitter(const JsonField& field) {
  expect_part_keys(field, {"individual_digits"});
  return std::make_unique<DigitsSplitter>(field.boolean_member("individual_digits", false));
}

}  // namespace rankfold
