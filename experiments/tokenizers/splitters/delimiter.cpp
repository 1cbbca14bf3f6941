#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

class DelimiterSplitter : public Splitter {
 public:
  explicit DelimiterSplitter(char32_t delimiter) : delimiter_(delimiter) {}

  void split(SplitText& text) const override {
    cut_at_characters(text, MatchBehaviour::removed,
                      [this](char32_t character) { return character == delimiter_; });
  }

 private:
  char32_t delimiter_;
};

}  // namespace

std::unique_ptr<const Splitter> read_delimiter_splitter(const JsonField& field) {
  expect_part_keys(field, {"delimiter"});
  return std::make_unique<DelimiterSplitter>(read_character(field.member("delimiter")));
}

}  // namespace rankfold
