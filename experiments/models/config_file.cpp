#include "experiments/models/config_file.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Far above the largest real file, which lists a few thousand labels.
constexpr JsonLimits config_limits{.bytes = std::size_t{1} << 24, .depth = 32, .values = 1'000'000};

}  // namespace

ConfigFile::ConfigFile(JsonDocument document) : document_(std::move(document)) {
  if (!document_.root().is_object())
    throw Error("{}: expected a JSON object, found {}", printable(path().string()),
                values().type_name());
}

ConfigFile::ConfigFile(std::filesystem::path file)
    : ConfigFile(JsonDocument(std::move(file), config_limits, JsonWording::is)) {}

ConfigFile::ConfigFile(std::filesystem::path name, const std::string& text)
    : ConfigFile(JsonDocument(std::move(name), text, config_limits, JsonWording::is)) {}

std::optional<JsonField> ConfigFile::find(std::string_view key) const {
  return document_.root().find(std::string(key));
}

JsonField ConfigFile::at(std::string_view key, std::string_view expected) const {
  const auto value = find(key);
  if (!value)
    throw Error("{}: {} is {}; expected {}", printable(path().string()), key,
                values().contains(std::string(key)) ? "null" : "missing", expected);
  return *value;
}

bool ConfigFile::has(std::string_view key) const {
  return find(key).has_value();
}

std::int64_t ConfigFile::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  return at(key, "an integer").integer(low, high);
}

std::int64_t ConfigFile::integer(std::string_view key, std::int64_t low, std::int64_t high,
                                 std::int64_t fallback) const {
  return has(key) ? integer(key, low, high) : fallback;
}

std::size_t ConfigFile::count(std::string_view key) const {
  return static_cast<std::size_t>(integer(key, 1, std::numeric_limits<std::int32_t>::max()));
}

std::size_t ConfigFile::count(std::string_view key, std::size_t fallback) const {
  return has(key) ? count(key) : fallback;
}

double ConfigFile::number(std::string_view key, double low, double high) const {
  const JsonField value = at(key, "a number");
  const double number = value.number_or_nothing().value_or(std::nan(""));
  if (!(number >= low && number <= high))
    value.refuse(fmt::format("a number from {} to {}", low, high));
  return number;
}

double ConfigFile::number(std::string_view key, double low, double high, double fallback) const {
  return has(key) ? number(key, low, high) : fallback;
}

bool ConfigFile::flag(std::string_view key, bool fallback) const {
  const auto value = find(key);
  return value ? value->boolean() : fallback;
}

std::string ConfigFile::text(std::string_view key) const {
  return at(key, "a text").string("a text");
}

std::string ConfigFile::text(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : std::string(fallback);
}

std::vector<std::string> ConfigFile::texts(std::string_view key) const {
  const JsonField value = at(key, "a list of texts");
  if (value.is_string()) {
    std::string text = value.string();
    std::ranges::transform(text, text.begin(), [](char letter) {
      return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
    return split(text, '|');
  }
  return value.strings("a list of texts");
}

std::vector<std::string> ConfigFile::texts(std::string_view key, std::string_view fallback) const {
  return has(key) ? texts(key) : std::vector<std::string>{std::string(fallback)};
}

}  // namespace rankfold
