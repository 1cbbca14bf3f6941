#include "experiments/tokenizers/decoders/token_decoder.h"

namespace rankfold {
namespace {

class FuseDecoder : public TokenDecoder {
 public:
  void decode(std::vector<std::string>& tokens) const override {
    std::string text;
    for (const std::string& token : tokens) text += token;
    tokens.assign(1, std::move(text));
  }
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_fuse_decoder(const JsonField& field) {
  expect_part_keys(field, {});
  return std::make_unique<FuseDecoder>();
}

}  // namespace rankfold
