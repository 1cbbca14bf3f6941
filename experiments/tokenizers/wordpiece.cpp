#include "experiments/tokenizers/wordpiece.h"

#include <array>
#include <utility>

#include "experiments/tokenizers/token_part.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

enum class CharacterClass : std::uint8_t { word, space, punctuation };

CharacterClass classify(char32_t character) {
  if (is_whitespace(character)) return CharacterClass::space;
  return is_bert_punctuation(character) ? CharacterClass::punctuation : CharacterClass::word;
}

std::array<CharacterClass, 128> classify_ascii() {
  std::array<CharacterClass, 128> classes{};
  for (std::size_t i = 0; i < classes.size(); ++i) classes[i] = classify(static_cast<char32_t>(i));
  return classes;
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, const WordPieceOptions& options)
    : words_(std::move(vocabulary), options), normalizer_(options.normalizer) {}

NormalizedText WordPiece::normalize(std::string_view text) const {
  check_text_length(text.size());
  return {normalizer_.normalize(text)};
}

void WordPiece::append_ids(std::string_view normalized, bool,
                           std::vector<std::int32_t>& ids) const {
  static const std::array<CharacterClass, 128> ascii_classes = classify_ascii();
  std::size_t word_begin = 0;
  for (std::size_t i = 0; i < normalized.size();) {
    const std::size_t begin = i;
    const auto byte = static_cast<unsigned char>(normalized[i]);
    CharacterClass kind;
    if (byte < 0x80) {
      kind = ascii_classes[byte];
      ++i;
    } else {
      kind = classify(decode_next(normalized, i));
    }
    if (kind == CharacterClass::word) continue;
    words_.append_ids(normalized.substr(word_begin, begin - word_begin), ids);
    if (kind == CharacterClass::punctuation)
      words_.append_ids(normalized.substr(begin, i - begin), ids);
    word_begin = i;
  }
  words_.append_ids(normalized.substr(word_begin), ids);
}

}  // namespace rankfold
