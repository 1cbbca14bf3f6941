#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "core/base/json_field.h"

namespace rankfold {

/// How one kind of normalizer, splitter, model or decoder is read from its object in
/// tokenizer.json. The tables of all kinds are beside their interfaces.
template <class Part>
struct PartKind {
  std::string_view type;
  std::unique_ptr<const Part> (*read)(const JsonField& field);
};

/// The part of a table whose type the object states. Throws Error naming file and key.
template <class Part>
std::unique_ptr<const Part> read_part(const JsonField& field,
                                      std::span<const PartKind<Part>> kinds) {
  const JsonField type = field.member("type");
  std::string known;
  for (const PartKind<Part>& kind : kinds) {
    if (kind.type == type.string()) return kind.read(field);
    known += (known.empty() ? "" : ", ") + std::string(kind.type);
  }
  type.refuse("'" + type.string() + "'", "one of " + known);
}

/// Throws Error naming the key where an object has others than "type" and these.
void expect_part_keys(const JsonField& part, std::initializer_list<std::string_view> names);

/// A string of one character.
char32_t read_character(const JsonField& field);

/// Texts are read up to this many bytes, normalised ones too: what files say may multiply them.
inline constexpr std::size_t longest_text = std::size_t{1} << 26;

/// Throws Error for a text of more bytes.
void check_text_length(std::size_t bytes);

}  // namespace rankfold
