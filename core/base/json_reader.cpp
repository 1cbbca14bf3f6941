#include "core/base/json_reader.h"

#include <algorithm>
#include <type_traits>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr std::size_t most_ordered_values = 20'000;

/// Counts levels and values before anything is built: a separator or an opening bracket is a value
/// more, whatever else is wrong with the text.
void check_limits(std::string_view text, const std::string& name, const JsonLimits& limits) {
  if (text.size() > limits.bytes)
    throw Error("{}: has {} bytes, expected at most {}", name, text.size(), limits.bytes);
  std::size_t depth = 0, values = 1;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (letter == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
    } else if (letter == '[' || letter == '{') {
      ++values;
      if (++depth > limits.depth)
        throw Error("{}: is nested deeper than {} levels (at byte {})", name, limits.depth, i);
    } else if (letter == ']' || letter == '}') {
      depth -= depth > 0 ? 1 : 0;
    } else if (letter == ',') {
      ++values;
    }
  }
  if (values > limits.values) throw Error("{}: holds more than {} values", name, limits.values);
}

}  // namespace

template <class Json>
Json parse_json(std::string_view text, const std::filesystem::path& file, const JsonLimits& given) {
  const std::string name = printable(file.string());
  JsonLimits limits = given;
  if (std::is_same_v<Json, nlohmann::ordered_json>)
    limits.values = std::min(limits.values, most_ordered_values);
  check_limits(text, name, limits);
  // The JSON library takes a zero byte for the end of its input.
  if (const std::size_t zero = text.find('\0'); zero != text.npos)
    throw Error("{}: is not valid JSON (at byte {} of {})", name, zero, text.size());
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const nlohmann::json::parse_error& error) {
    throw Error("{}: is not valid JSON (at byte {} of {})", name, std::min(error.byte, text.size()),
                text.size());
  } catch (const nlohmann::json::out_of_range&) {
    throw Error("{}: holds a number beyond the range of double precision", name);
  }
}

template <class Json>
Json read_json(const std::filesystem::path& file, const JsonLimits& limits) {
  return parse_json<Json>(read_text(file, limits.bytes), file, limits);
}

template nlohmann::json parse_json(std::string_view, const std::filesystem::path&,
                                   const JsonLimits&);
template nlohmann::ordered_json parse_json(std::string_view, const std::filesystem::path&,
                                           const JsonLimits&);
template nlohmann::json read_json(const std::filesystem::path&, const JsonLimits&);
template nlohmann::ordered_json read_json(const std::filesystem::path&, const JsonLimits&);

}  // namespace rankfold
