#include <utility>

#include "experiments/tokenizers/decoders/token_decoder.h"

namespace rankfold {
namespace {

class DecoderSequence : public TokenDecoder {
 public:
  explicit DecoderSequence(std::vector<std::unique_ptr<const TokenDecoder>> steps)
      : steps_(std::move(steps)) {}

  void decode(std::vector<std::string>& tokens) const override {
    for (const auto& step : steps_) step->decode(tokens);
  }

 private:
  std::vector<std::unique_ptr<const TokenDecoder>> steps_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_decoder_sequence(const JsonField& field) {
  expect_part_keys(field, {"decoders"});
  const JsonField list = field.member("decoders");
  std::vector<std::unique_ptr<const TokenDecoder>> steps(list.array_size());
  for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = read_decoder(list.element(i));
  return std::make_unique<DecoderSequence>(std::move(steps));
}

}  // namespace rankfold
