#include "experiments/models/config_file.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Far above the largest real file, which lists a few thousand labels.
constexpr JsonLimits config_limits{.bytes = std::size_t{1} << 24, .depth = 32, .values = 1'000'000};

std::string shown(const nlohmann::json& value) {
  return printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), 80);
}

}  // namespace

ConfigFile::ConfigFile(std::filesystem::path file)
    : ConfigFile(file, read_text(file, config_limits.bytes)) {}

ConfigFile::ConfigFile(std::filesystem::path name, const std::string& text)
    : path_(std::move(name)) {
  nlohmann::json values = parse_json(text, path_, config_limits);
  if (!values.is_object())
    throw Error("{}: expected a JSON object, found {}", printable(path_.string()),
                values.type_name());
  values_ = std::make_shared<const nlohmann::json>(std::move(values));
}

const nlohmann::json* ConfigFile::find(std::string_view key) const {
  const auto found = values_->find(std::string(key));
  return found == values_->end() || found->is_null() ? nullptr : &*found;
}

const nlohmann::json& ConfigFile::at(std::string_view key, std::string_view expected) const {
  const nlohmann::json* value = find(key);
  if (!value)
    throw Error("{}: {} is {}; expected {}", printable(path_.string()), key,
                values_->contains(std::string(key)) ? "null" : "missing", expected);
  return *value;
}

bool ConfigFile::has(std::string_view key) const {
  return find(key) != nullptr;
}

std::int64_t ConfigFile::integer(std::string_view key, std::int64_t low, std::int64_t high) const {
  const nlohmann::json& value = at(key, "an integer");
  const bool too_large = value.is_number_unsigned() &&
                         value.get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!value.is_number_integer() || too_large || value.get<std::int64_t>() < low ||
      value.get<std::int64_t>() > high)
    throw Error("{}: {} is {}, expected an integer from {} to {}", printable(path_.string()), key,
                shown(value), low, high);
  return value.get<std::int64_t>();
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
  const nlohmann::json& value = at(key, "a number");
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!(number >= low && number <= high))
    throw Error("{}: {} is {}, expected a number from {} to {}", printable(path_.string()), key,
                shown(value), low, high);
  return number;
}

double ConfigFile::number(std::string_view key, double low, double high, double fallback) const {
  return has(key) ? number(key, low, high) : fallback;
}

bool ConfigFile::flag(std::string_view key, bool fallback) const {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean())
    throw Error("{}: {} is {}, expected true or false", printable(path_.string()), key,
                shown(*value));
  return value->get<bool>();
}

std::string ConfigFile::text(std::string_view key) const {
  const nlohmann::json& value = at(key, "a text");
  if (!value.is_string())
    throw Error("{}: {} is {}, expected a text", printable(path_.string()), key, shown(value));
  return value.get<std::string>();
}

std::string ConfigFile::text(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : std::string(fallback);
}

std::vector<std::string> ConfigFile::texts(std::string_view key) const {
  const nlohmann::json& value = at(key, "a list of texts");
  if (value.is_string()) {
    std::string text = value.get<std::string>();
    std::ranges::transform(text, text.begin(), [](char letter) {
      return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
    return split(text, '|');
  }
  std::vector<std::string> texts;
  for (const nlohmann::json& part : value.is_array() ? value : nlohmann::json::array({nullptr})) {
    if (!part.is_string())
      throw Error("{}: {} is {}, expected a list of texts", printable(path_.string()), key,
                  shown(value));
    texts.push_back(part.get<std::string>());
  }
  return texts;
}

std::vector<std::string> ConfigFile::texts(std::string_view key, std::string_view fallback) const {
  return has(key) ? texts(key) : std::vector<std::string>{std::string(fallback)};
}

}  // namespace rankfold
