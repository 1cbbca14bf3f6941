#include "experiments/tokenizers/wordpiece.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

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

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char byte) { return (byte & '\xC0') != '\x80'; }));
}

}  // namespace

WordPiece::WordPiece(Vocabulary vocabulary, const WordPieceOptions& options)
    : vocabulary_(std::move(vocabulary)),
      normalizer_(options.normalizer),
      continuation_(vocabulary_.tokens.find_node(options.continuing_prefix)),
      max_characters_per_word_(options.max_characters_per_word) {
  const auto unknown = vocabulary_.tokens.find(options.unknown_token);
  if (!unknown) throw std::logic_error("WordPiece: the unknown token is not in the vocabulary");
  unknown_id_ = *unknown;
}

std::string WordPiece::normalize(std::string_view text) const {
  return normalizer_.normalize(text);
}

void WordPiece::append_ids(std::string_view normalized, std::vector<std::int32_t>& ids) const {
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
    append_word(normalized.substr(word_begin, begin - word_begin), ids);
    if (kind == CharacterClass::punctuation) append_word(normalized.substr(begin, i - begin), ids);
    word_begin = i;
  }
  append_word(normalized.substr(word_begin), ids);
}

void WordPiece::append_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  const std::size_t before = ids.size();
  const bool too_long =
      word.size() > max_characters_per_word_ && count_characters(word) > max_characters_per_word_;
  std::optional<PrefixTree::Node> start = PrefixTree::root;
  while (!too_long && !word.empty() && start) {
    const auto piece = vocabulary_.tokens.longest_match(word, *start);
    if (!piece) break;
    ids.push_back(piece->value);
    word.remove_prefix(piece->length);
    start = continuation_;
  }
  if (word.empty()) return;
  ids.resize(before);
  ids.push_back(unknown_id_);
}

std::optional<std::int32_t> WordPiece::find_token(std::string_view content) const {
  return vocabulary_.tokens.find(content);
}

bool WordPiece::has_id(std::int32_t id) const {
  return std::binary_search(vocabulary_.ids.begin(), vocabulary_.ids.end(), id);
}

std::size_t WordPiece::vocabulary_size() const {
  return vocabulary_.size();
}

}  // namespace rankfold
