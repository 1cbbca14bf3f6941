#include "experiments/tokenizers/splitters/cut.h"

namespace rankfold {
namespace {

class PunctuationSplitter : public Splitter {
 public:
  explicit PunctuationSplitter(MatchBehaviour behaviour) : behaviour_(behaviour) {}

  void split(SplitText& text) const override {
    cut_at_characters(text, behaviour_, is_bert_punctuation);
  }

 private:
  MatchBehaviour behaviour_;
};

}  // namespace

std::unique_ptr<const Splitter> read_punctuation_splitter(const JsonField& field) {
  expect_part_keys(field, {"behavior"});
  const auto behaviour = field.optional_member("behavior");
  return std::make_unique<PunctuationSplitter>(behaviour ? read_behaviour(*behaviour)
                                                         : MatchBehaviour::isolated);
}

}  // namespace rankfold
