#include "experiments/tokenizers/bert_normalizer.h"

#include <string>
#include <string_view>

#include "experiments/tokenizers/unicode.h"
#include "experiments/tokenizers/unicode_forms.h"

namespace rankfold {
namespace {

/// Appends a stretch of text without its accents and leaves `stretch` empty.
void append_without_accents(std::u32string& stretch, bool lowercase, std::string& out) {
  if (stretch.empty()) return;
  for (const char32_t character : decompose(stretch, false)) {
    if (is_bert_accent(character)) continue;
    lowercase ? append_lowercase(out, character) : append_utf8(out, character);
  }
  stretch.clear();
}

}  // namespace

BertNormalizer::BertNormalizer(const BertNormalizerOptions& options) : options_(options) {
  for (std::size_t i = 0; i < ascii_.size(); ++i) {
    auto become = static_cast<std::int8_t>(i);
    const auto character = static_cast<char32_t>(i);
    if (options.clean_text && is_whitespace(character) && !is_bert_control(character)) become = ' ';
    if (options.clean_text && is_bert_control(character)) become = -1;
    if (options.lowercase && i >= 'A' && i <= 'Z') become = static_cast<std::int8_t>(i - 'A' + 'a');
    ascii_[i] = become;
  }
}

std::string BertNormalizer::normalize(std::string_view text) const {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      i = append_run(text, i, out);
      continue;
    }
    if (ascii_[byte] >= 0) out += static_cast<char>(ascii_[byte]);
    ++i;
  }
  return out;
}

/// Characters from `position` to the next ASCII character that stays, and so starts a new stretch
/// for the decomposition; returns its position.
std::size_t BertNormalizer::append_run(std::string_view text, std::size_t position,
                                       std::string& out) const {
  std::u32string stretch;
  const auto append = [&](char32_t character) {
    if (options_.strip_accents && is_known_to_bert(character)) {
      stretch += character;
      return;
    }
    append_without_accents(stretch, options_.lowercase, out);
    options_.lowercase ? append_lowercase(out, character) : append_utf8(out, character);
  };
  while (position < text.size()) {
    const auto byte = static_cast<unsigned char>(text[position]);
    if (byte < 0x80 && ascii_[byte] >= 0) break;
    const char32_t character = decode_next(text, position);
    if (options_.clean_text) {
      if (character == 0xFFFD || is_bert_control(character)) continue;
      if (is_whitespace(character)) {
        append(' ');
        continue;
      }
    }
    const bool apart = options_.handle_chinese_chars && is_bert_ideograph(character);
    if (apart) append(' ');
    append(character);
    if (apart) append(' ');
  }
  append_without_accents(stretch, options_.lowercase, out);
  return position;
}

}  // namespace rankfold
