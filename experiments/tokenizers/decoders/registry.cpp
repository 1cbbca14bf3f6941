#include <array>

#include "experiments/tokenizers/decoders/token_decoder.h"

namespace rankfold {
namespace {

constexpr std::array<PartKind<TokenDecoder>, 9> decoder_kinds = {{
    {"BPEDecoder", read_bpe_decoder},
    {"ByteFallback", read_byte_fallback_decoder},
    {"ByteLevel", read_byte_level_decoder},
    {"Fuse", read_fuse_decoder},
    {"Metaspace", read_metaspace_decoder},
    {"Replace", read_replace_decoder},
    {"Sequence", read_decoder_sequence},
    {"Strip", read_strip_decoder},
    {"WordPiece", read_word_piece_decoder},
}};

}  // namespace

std::unique_ptr<const TokenDecoder> read_decoder(const JsonField& field) {
  return read_part<TokenDecoder>(field, decoder_kinds);
}

}  // namespace rankfold
