#include <utility>
#include <vector>

#include "experiments/tokenizers/normalizers/normalizer.h"

namespace rankfold {
namespace {

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<std::unique_ptr<const Normalizer>> steps)
      : steps_(std::move(steps)) {}

  void normalize(NormalizedText& text) const override {
    for (const auto& step : steps_) step->normalize(text);
  }

 private:
  std::vector<std::unique_ptr<const Normalizer>> steps_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_normalizer_sequence(const JsonField& field) {
  expect_part_keys(field, {"normalizers"});
  const JsonField list = field.member("normalizers");
  std::vector<std::unique_ptr<const Normalizer>> steps(list.array_size());
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = read_normalizer(list.element(i));
  return make_normalizer_sequence(std::move(steps));
}

std::unique_ptr<const Normalizer> make_normalizer_sequence(
    std::vector<std::unique_ptr<const Normalizer>> steps) {
  return std::make_unique<NormalizerSequence>(std::move(steps));
}

}  // namespace rankfold
