#include "experiments/tokenizers/token_part.h"

#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/text.h"
#include "experiments/tokenizers/unicode.h"

namespace rankfold {

void expect_part_keys(const JsonField& part, std::initializer_list<std::string_view> names) {
  std::vector<ForeignKey> keys = {{"type", ForeignKey::Meaning::read}};
  for (const std::string_view name : names) keys.push_back({name, ForeignKey::Meaning::read});
  expect_known_keys(part.object(), part.file(), part.key(), {keys});
}

char32_t read_character(const JsonField& field) {
  const std::string& text = field.string();
  std::size_t end = 0;
  const char32_t character = text.empty() ? U'\0' : decode_next(text, end);
  if (text.empty() || end != text.size())
    field.refuse("'" + printable(text, 40) + "'", "one character");
  return character;
}

void check_text_length(std::size_t bytes) {
  if (bytes > longest_text)
    throw Error("a text to tokenize: found {} bytes, expected at most {}", bytes, longest_text);
}

}  // namespace rankfold
