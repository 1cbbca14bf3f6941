#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/json_field.h"
#include "experiments/tokenizers/token_part.h"

namespace rankfold {

/// One step from tokens back to text: what the last one leaves is put together.
class TokenDecoder {
 public:
  virtual ~TokenDecoder() = default;
  /// May be called by several threads.
  virtual void decode(std::vector<std::string>& tokens) const = 0;
};

/// The decoder that an object of tokenizer.json describes. Throws Error naming file and key.
std::unique_ptr<const TokenDecoder> read_decoder(const JsonField& field);

// One file a kind.
std::unique_ptr<const TokenDecoder> read_bpe_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_byte_fallback_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_byte_level_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_fuse_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_metaspace_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_replace_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_decoder_sequence(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_strip_decoder(const JsonField& field);
std::unique_ptr<const TokenDecoder> read_word_piece_decoder(const JsonField& field);

/// Tokens with the prefix continue words; tidies: no space before punctuation and contractions.
std::unique_ptr<const TokenDecoder> make_word_piece_decoder(std::string prefix, bool tidies);

}  // namespace rankfold
