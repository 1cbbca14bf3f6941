#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

class BertSplitter : public Splitter {
 public:
  void split(SplitText& text) const override {
    cut_at_characters(text, MatchBehaviour::removed, is_whitespace);
    cut_at_characters(text, MatchBehaviour::isolated, is_bert_punctuation);
  }
};

}  // namespace

std::unique_ptr<const Splitter> read_bert_splitter(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<BertSplitter>();
}

}  // namespace rankfold
