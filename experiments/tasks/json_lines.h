#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/json_field.h"

namespace rankfold {

/// A line of a JSON lines file: one object, whose errors begin with FILE:LINE.
struct JsonRow {
  std::size_t line = 0;  ///< 1-based
  JsonDocument document;

  /// Refers to the document, or a copy of it: one of them must stay.
  JsonField fields() const { return document.root(); }
};

/// The rows of a JSON lines file (one JSON object a line, UTF-8), in order. A byte order mark and a
/// CR before the LF are dropped; the last line may lack its LF. Throws Error naming file and line:
/// missing or empty file, invalid UTF-8, a zero byte (also as \u0000 in a text), a line that is
/// empty, no JSON or no object.
std::vector<JsonRow> read_json_lines(const std::filesystem::path& file);
/// The same one by one, for files whose rows need not stay.
void for_each_json_line(const std::filesystem::path& file,
                        const std::function<void(const JsonRow&)>& visit);

/// A member as a text that is not empty and not only spaces. Throws Error naming file, line and
/// key where it is missing, no string, or blank.
std::string take_sentence(const JsonField& row, const std::string& name);

/// A member as the text of a table's cell: a string as it is; a number, true and false as JSON
/// writes them, 1.0 as 1. Throws Error naming file, line and key where it is missing, null, an
/// array or an object.
std::string take_cell(const JsonField& row, const std::string& name);

}  // namespace rankfold
