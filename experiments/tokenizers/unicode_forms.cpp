#include "experiments/tokenizers/unicode_forms.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <cstdint>

#include "core/base/error.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

const icu::Normalizer2& icu_normalizer(bool compatibility) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = compatibility ? icu::Normalizer2::getNFKDInstance(status)
                                                     : icu::Normalizer2::getNFCInstance(status);
  if (U_FAILURE(status)) throw Error("ICU: no data for normalisation: {}", u_errorName(status));
  return *normalizer;
}

std::uint8_t combining_class(char32_t character) {
  return u_getCombiningClass(static_cast<UChar32>(character));
}

bool is_ascii_byte(char byte) {
  return static_cast<unsigned char>(byte) < 0x80;
}

}  // namespace

/// Marks are sorted here because ICU inserts them one by one, which takes hours on a text of
/// nothing else.
std::u32string decompose(std::u32string_view text, bool compatibility) {
  const icu::Normalizer2& normalizer = icu_normalizer(compatibility);
  std::u32string decomposed;
  icu::UnicodeString parts;
  for (const char32_t character : text) {
    if (character < 0x80 || !is_known_to_forms(character) ||
        !normalizer.getDecomposition(static_cast<UChar32>(character), parts)) {
      decomposed += character;
      continue;
    }
    for (std::int32_t i = 0; i < parts.length(); i = parts.moveIndex32(i, 1))
      decomposed += static_cast<char32_t>(parts.char32At(i));
  }
  for (auto begin = decomposed.begin(); begin != decomposed.end(); ++begin) {
    const auto end =
        std::find_if(begin, decomposed.end(), [](char32_t c) { return combining_class(c) == 0; });
    std::stable_sort(
        begin, end, [](char32_t a, char32_t b) { return combining_class(a) < combining_class(b); });
    begin = end;
    if (begin == decomposed.end()) break;
  }
  return decomposed;
}

std::u32string compose(std::u32string_view decomposed) {
  const icu::Normalizer2& normalizer = icu_normalizer(false);
  std::u32string composed;
  std::size_t starter = std::u32string::npos;
  std::uint8_t last_class = 0;  // of what stands behind the starter; 0: nothing
  for (const char32_t character : decomposed) {
    const std::uint8_t this_class = combining_class(character);
    if (starter != std::u32string::npos && (last_class == 0 || last_class < this_class)) {
      const UChar32 both = normalizer.composePair(static_cast<UChar32>(composed[starter]),
                                                  static_cast<UChar32>(character));
      if (both >= 0 && is_known_to_forms(static_cast<char32_t>(both))) {
        composed[starter] = static_cast<char32_t>(both);
        continue;
      }
    }
    if (this_class == 0) starter = composed.size();
    last_class = this_class;
    composed += character;
  }
  return composed;
}

std::string to_form(std::string_view text, UnicodeForm form) {
  const bool compatibility = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
  const bool composes = form == UnicodeForm::nfc || form == UnicodeForm::nfkc;
  std::string out;
  out.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    auto stop = std::find_if_not(text.begin() + static_cast<std::ptrdiff_t>(begin), text.end(),
                                 is_ascii_byte);
    std::size_t end = static_cast<std::size_t>(stop - text.begin());
    // The last ASCII character may combine with what follows it.
    const std::size_t plain = composes && end > begin && end < text.size() ? end - 1 : end;
    out += text.substr(begin, plain - begin);
    std::u32string stretch;
    for (begin = plain; begin < text.size() && (begin < end || !is_ascii_byte(text[begin]));)
      stretch += decode_next(text, begin);
    stretch = decompose(stretch, compatibility);
    if (composes) stretch = compose(stretch);
    for (const char32_t character : stretch) append_utf8(out, character);
  }
  return out;
}

}  // namespace rankfold
