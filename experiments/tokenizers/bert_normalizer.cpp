#include "experiments/tokenizers/bert_normalizer.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

const icu::Normalizer2& canonical_decomposition() {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFDInstance(status);
  if (U_FAILURE(status)) throw Error("ICU: no data for NFD: {}", u_errorName(status));
  return *normalizer;
}

/// Canonical decomposition. Marks are sorted here because ICU inserts them one by one, which takes
/// hours on a text of nothing else.
std::u32string decompose(std::u32string_view stretch) {
  const icu::Normalizer2& decomposition = canonical_decomposition();
  std::u32string decomposed;
  icu::UnicodeString parts;
  for (const char32_t character : stretch) {
    if (!decomposition.getDecomposition(static_cast<UChar32>(character), parts)) {
      decomposed += character;
      continue;
    }
    for (std::int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1))
      decomposed += static_cast<char32_t>(parts.char32At(i));
  }
  const auto combining_class = [](char32_t c) {
    return u_getCombiningClass(static_cast<UChar32>(c));
  };
  for (auto begin = decomposed.begin(); begin != decomposed.end(); ++begin) {
    const auto end =
        std::find_if(begin, decomposed.end(), [&](char32_t c) { return combining_class(c) == 0; });
    std::stable_sort(begin, end, [&](char32_t a, char32_t b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
    if (begin == decomposed.end()) break;
  }
  return decomposed;
}

/// Appends a stretch of text without its accents and leaves `stretch` empty.
void append_without_accents(std::u32string& stretch, bool lowercase, std::string& out) {
  if (stretch.empty()) return;
  for (const char32_t character : decompose(stretch)) {
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
