#include <array>

#include "experiments/tokenizers/splitters/splitter.h"

namespace rankfold {
namespace {

constexpr std::array<PartKind<Splitter>, 10> splitter_kinds = {{
    {"BertPreTokenizer", read_bert_splitter},
    {"ByteLevel", read_byte_level_splitter},
    {"CharDelimiterSplit", read_delimiter_splitter},
    {"Digits", read_digits_splitter},
    {"Metaspace", read_metaspace_splitter},
    {"Punctuation", read_punctuation_splitter},
    {"Sequence", read_splitter_sequence},
    {"Split", read_pattern_splitter},
    {"Whitespace", read_word_splitter},
    {"WhitespaceSplit", read_whitespace_splitter},
}};

}  // namespace

std::unique_ptr<const Splitter> read_splitter(const JsonField& field) {
  return read_part<Splitter>(field, splitter_kinds);
}

}  // namespace rankfold
