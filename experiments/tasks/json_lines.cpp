#include "experiments/tasks/json_lines.h"

#include <cmath>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/text_lines.h"

namespace rankfold {
namespace {

/// Whether a text of the line holds a zero byte, written \u0000: after an even number of
/// backslashes the escape is one.
bool holds_escaped_zero(std::string_view line) {
  constexpr std::string_view zero = "\\u0000";
  for (std::size_t at = line.find(zero); at != std::string_view::npos;
       at = line.find(zero, at + 1)) {
    std::size_t first = at;
    while (first > 0 && line[first - 1] == '\\') --first;
    if ((at - first) % 2 == 0) return true;
  }
  return false;
}

JsonRow parse_row(const std::filesystem::path& file, const TextLine& line) {
  const std::string place = fmt::format("{}:{}", file.string(), line.number);
  if (trim(line.text).empty())
    throw Error("{}: found an empty line, expected a JSON object", printable(place));
  if (holds_escaped_zero(line.text))
    throw Error("{}: found \\u0000, expected text without it", printable(place));
  JsonRow row{line.number, JsonDocument(place, line.text)};
  if (!row.fields().is_object())
    throw Error("{}: found {}, expected a JSON object", printable(place), in_quotes(line.text));
  return row;
}

}  // namespace

void for_each_json_line(const std::filesystem::path& file,
                        const std::function<void(const JsonRow&)>& visit) {
  const std::string text = read_rows_text(file);
  for (const TextLine& line : lines_of(text)) visit(parse_row(file, line));
}

std::vector<JsonRow> read_json_lines(const std::filesystem::path& file) {
  std::vector<JsonRow> rows;
  for_each_json_line(file, [&](const JsonRow& row) { rows.push_back(row); });
  return rows;
}

std::string take_sentence(const JsonField& row, const std::string& name) {
  constexpr std::string_view expected = "a sentence";
  const JsonField field = row.member(name, expected);
  std::string text = field.string(expected);
  if (trim(text).empty()) field.refuse("no text", expected);
  return text;
}

std::string take_cell(const JsonField& row, const std::string& name) {
  constexpr std::string_view expected = "a text, a number, true or false";
  const JsonField field = row.member(name, expected);
  if (field.is_string()) return field.string();
  if (!field.is_number() && !field.is_boolean()) field.refuse(expected);
  // 1.0 is the number that 1 is; from 2^53 on a double has no digits for it.
  const double number = field.is_number() ? field.value().get<double>() : 0.5;
  const bool whole = number == std::trunc(number) && std::abs(number) < 0x1p53;
  return whole ? std::to_string(static_cast<std::int64_t>(number)) : field.value().dump();
}

}  // namespace rankfold
