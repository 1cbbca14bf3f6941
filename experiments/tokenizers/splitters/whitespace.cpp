#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

class WhitespaceSplitter : public Splitter {
 public:
  void split(SplitText& text) const override {
    cut_at_characters(text, MatchBehaviour::removed, is_whitespace);
  }
};

}  // namespace

std::unique_ptr<const Splitter> read_whitespace_splitter(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<WhitespaceSplitter>();
}

}  // namespace rankfold
