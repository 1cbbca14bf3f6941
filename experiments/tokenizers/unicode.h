#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rankfold {

/// The code point at `position`, which moves behind it; U+FFFD for each maximal part of an invalid
/// sequence (Unicode 15, section 3.9). `position` must be inside the text.
char32_t decode_next(std::string_view text, std::size_t& position);

/// The last code point of a text that is not empty; U+FFFD where it is invalid.
char32_t decode_last(std::string_view text);

/// The bytes of a code point in UTF-8.
std::size_t utf8_length(char32_t character);

void append_utf8(std::string& text, char32_t character);

bool is_valid_utf8(std::string_view text);

/// Unicode's White_Space property.
bool is_whitespace(char32_t character);

/// \w of Unicode regular expressions: alphabetic, mark, decimal number, connector punctuation or
/// join control (Unicode Technical Standard 18, annex C).
bool is_word_character(char32_t character);

// The classes of characters that BERT's tokenizer knows. Hugging Face's implementation, which model
// vocabularies are used with, has the categories of Unicode 8: characters assigned later belong to
// none of these classes, and the few whose category changed since have their old one.

/// Control, format and private-use characters, without tab, line feed and carriage return.
bool is_bert_control(char32_t character);

/// Every printable ASCII character that is neither letter, digit nor space, and categories P*.
bool is_bert_punctuation(char32_t character);

/// The CJK ideographs, each of which BERT reads as a word; not kana and hangul.
bool is_bert_ideograph(char32_t character);

/// Category Mn.
bool is_bert_accent(char32_t character);

/// Whether Unicode 8 had this character: those assigned later neither decompose nor combine.
bool is_known_to_bert(char32_t character);

// What huggingface/tokenizers has by other tables.

/// Whether the tables of its normalisation forms and its marks have this character.
bool is_known_to_forms(char32_t character);

/// Categories M of those tables: Mn, Mc and Me.
bool is_combining_mark(char32_t character);

/// Categories N: Nd, Nl and No.
bool is_numeric(char32_t character);

/// Without the white space at its end: the length that stays.
std::size_t without_trailing_whitespace(std::string_view text);

/// The bytes of white space that a text begins with.
std::size_t after_leading_whitespace(std::string_view text);

/// Lower case of one character without context (no final sigma). One character becomes two: U+0130
/// becomes i with U+0307.
void append_lowercase(std::string& text, char32_t character);

}  // namespace rankfold
