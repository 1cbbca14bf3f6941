#include <utility>

#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/splitters/metaspace.h"

namespace rankfold {
namespace {

/// Marks become spaces; those of the first token go where one was put before the text.
class MetaspaceDecoder : public TokenDecoder {
 public:
  explicit MetaspaceDecoder(MetaspaceOptions options) : options_(std::move(options)) {}

  void decode(std::vector<std::string>& tokens) const override {
    const std::string& mark = options_.replacement;
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const bool drops = i == 0 && options_.prepend != MetaspaceOptions::Prepend::never;
      std::string out;
      std::size_t kept_from = 0;
      for (std::size_t place = tokens[i].find(mark); place != std::string::npos;
           place = tokens[i].find(mark, kept_from)) {
        out.append(tokens[i], kept_from, place - kept_from);
        if (!drops) out += ' ';
        kept_from = place + mark.size();
      }
      tokens[i] = out.append(tokens[i], kept_from);
    }
  }

 private:
  MetaspaceOptions options_;
};

}  // namespace

std::unique_ptr<const TokenDecoder> read_metaspace_decoder(const JsonField& field) {
  return std::make_unique<MetaspaceDecoder>(read_metaspace(field));
}

}  // namespace rankfold
