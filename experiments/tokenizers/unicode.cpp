#include "experiments/tokenizers/unicode.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <cstdint>

namespace rankfold {
namespace {

UChar32 code_point(char32_t character) {
  return static_cast<UChar32>(character);
}

bool is_one_of(char32_t character, std::uint32_t category_mask) {
  return (U_GET_GC_MASK(code_point(character)) & category_mask) != 0;
}

}  // namespace

char32_t decode_next(std::string_view text, std::size_t& position) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  UChar32 character;
  U8_NEXT_OR_FFFD(bytes, position, text.size(), character);
  return static_cast<char32_t>(character);
}

char32_t decode_last(std::string_view text) {
  constexpr std::size_t longest = 4;
  if (text.size() > longest) text.remove_prefix(text.size() - longest);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  auto end = static_cast<std::int32_t>(text.size());
  UChar32 character;
  U8_PREV_OR_FFFD(bytes, 0, end, character);
  return static_cast<char32_t>(character);
}

std::size_t utf8_length(char32_t character) {
  return static_cast<std::size_t>(U8_LENGTH(code_point(character)));
}

void append_utf8(std::string& text, char32_t character) {
  char bytes[U8_MAX_LENGTH];
  std::size_t length = 0;
  U8_APPEND_UNSAFE(bytes, length, code_point(character));
  text.append(bytes, length);
}

bool is_valid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  for (std::size_t position = 0; position < text.size();) {
    UChar32 character;
    U8_NEXT(bytes, position, text.size(), character);
    if (character < 0) return false;
  }
  return true;
}

bool is_whitespace(char32_t character) {
  return u_isUWhiteSpace(code_point(character));
}

bool is_word_character(char32_t character) {
  return u_hasBinaryProperty(code_point(character), UCHAR_ALPHABETIC) ||
         u_hasBinaryProperty(code_point(character), UCHAR_JOIN_CONTROL) ||
         is_one_of(character, U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK);
}

bool is_known_to_bert(char32_t character) {
  UVersionInfo age;
  u_charAge(code_point(character), age);
  return age[0] < 8 || (age[0] == 8 && age[1] == 0);
}

bool is_bert_control(char32_t character) {
  if (character == '\t' || character == '\n' || character == '\r') return false;
  return is_one_of(character, U_GC_CC_MASK | U_GC_CF_MASK | U_GC_CO_MASK) &&
         is_known_to_bert(character);
}

bool is_bert_punctuation(char32_t character) {
  if (character < 0x80)
    return u_isgraph(code_point(character)) && !u_isalnum(code_point(character));
  if (is_one_of(character, U_GC_P_MASK)) return is_known_to_bert(character);
  // Canadian syllabics chi sign and Sharada sandhi mark were punctuation.
  return character == 0x166D || character == 0x111C9;
}

bool is_bert_ideograph(char32_t character) {
  return (character >= 0x4E00 && character <= 0x9FFF) ||
         (character >= 0x3400 && character <= 0x4DBF) ||
         (character >= 0x20000 && character <= 0x2A6DF) ||
         (character >= 0x2A700 && character <= 0x2B73F) ||
         (character >= 0x2B740 && character <= 0x2B81F) ||
         (character >= 0x2B920 && character <= 0x2CEAF) ||
         (character >= 0xF900 && character <= 0xFAFF) ||
         (character >= 0x2F800 && character <= 0x2FA1F);
}

bool is_bert_accent(char32_t character) {
  if (!is_one_of(character, U_GC_MN_MASK)) return character == 0x1734;  // a vowel sign since
  // Two Mongolian letters, a Javanese vowel sign and the Sharada sandhi mark became Mn since.
  if (character == 0x1885 || character == 0x1886 || character == 0xA9BD || character == 0x111C9)
    return false;
  return is_known_to_bert(character);
}

bool is_known_to_forms(char32_t character) {
  UVersionInfo age;
  u_charAge(code_point(character), age);
  return age[0] <= 9;
}

bool is_combining_mark(char32_t character) {
  // Two Vedic signs were marks, and the Sharada sandhi mark was none.
  if (character == 0x1CF2 || character == 0x1CF3) return true;
  return is_one_of(character, U_GC_M_MASK) && is_known_to_forms(character) && character != 0x111C9;
}

bool is_numeric(char32_t character) {
  return is_one_of(character, U_GC_N_MASK);
}

std::size_t without_trailing_whitespace(std::string_view text) {
  std::size_t end = text.size();
  while (end > 0) {
    const char32_t last = decode_last(text.substr(0, end));
    if (!is_whitespace(last)) break;
    end -= utf8_length(last);
  }
  return end;
}

std::size_t after_leading_whitespace(std::string_view text) {
  std::size_t begin = 0;
  while (begin < text.size()) {
    std::size_t next = begin;
    if (!is_whitespace(decode_next(text, next))) break;
    begin = next;
  }
  return begin;
}

void append_lowercase(std::string& text, char32_t character) {
  if (character == 0x130) {
    text += "i\u0307";
    return;
  }
  append_utf8(text, static_cast<char32_t>(u_tolower(code_point(character))));
}

}  // namespace rankfold
