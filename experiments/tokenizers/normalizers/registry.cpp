#include <array>

#include "experiments/tokenizers/normalizers/normalizer.h"

namespace rankfold {
namespace {

constexpr std::array<PartKind<Normalizer>, 13> normalizer_kinds = {{
    {"BertNormalizer", read_bert_normalizer},
    {"ByteLevel", read_byte_level_normalizer},
    {"Lowercase", read_lowercase},
    {"NFC", read_nfc},
    {"NFD", read_nfd},
    {"NFKC", read_nfkc},
    {"NFKD", read_nfkd},
    {"Precompiled", read_precompiled},
    {"Prepend", read_prepend},
    {"Replace", read_replace},
    {"Sequence", read_normalizer_sequence},
    {"Strip", read_strip},
    {"StripAccents", read_strip_accents},
}};

}  // namespace

std::unique_ptr<const Normalizer> read_normalizer(const JsonField& field) {
  return read_part<Normalizer>(field, normalizer_kinds);
}

}  // namespace rankfold
