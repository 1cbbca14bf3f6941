#include <utility>

#include "experiments/tokenizers/splitters/splitter.h"

namespace rankfold {
namespace {

class SplitterSequence : public Splitter {
 public:
  explicit SplitterSequence(std::vector<std::unique_ptr<const Splitter>> steps)
      : steps_(std::move(steps)) {}

  void split(SplitText& text) const override {
    for (const auto& step : steps_) step->split(text);
  }

 private:
  std::vector<std::unique_ptr<const Splitter>> steps_;
};

}  // namespace

std::unique_ptr<const Splitter> read_splitter_sequence(const JsonField& field) {
  expect_part_keys(field, {"pretokenizers"});
  const JsonField list = field.member("pretokenizers");
  std::vector<std::unique_ptr<const Splitter>> steps(list.array_size());
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = read_splitter(list.element(i));
  return std::make_unique<SplitterSequence>(std::move(steps));
}

}  // namespace rankfold
