#include <utility>

#include "experiments/tokenizers/normalizers/normalizer.h"

namespace rankfold {
namespace {

/// Nothing is put before an empty text.
class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}

  void normalize(NormalizedText& text) const override {
    if (text.text.empty()) return;
    check_text_length(text.text.size() + prefix_.size());
    text.text.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

}  // namespace

std::unique_ptr<const Normalizer> read_prepend(const JsonField& field) {
  expect_part_keys(field, {"prepend"});
  return std::make_unique<Prepend>(field.member("prepend").string());
}

}  // namespace rankfold
