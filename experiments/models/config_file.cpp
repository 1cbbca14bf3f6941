#include "experiments/models/config_file.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace rankfold {
namespace {

constexpr std::size_t size_limit = std::size_t{1} << 24;

std::string shown(const nlohmann::json& value) {
  return printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), 80);
}

}  // namespace

ConfigFile::ConfigFile(std::filesystem::path file)
    : ConfigFile(file, read_text(file, size_limit)) {}

ConfigFile::ConfigFile(std::filesystem::path name, const std::string& text)
    : path_(std::move(name)) {
  nlohmann::json values = nlohmann::json::parse(text, nullptr, false);
  if (!values.is_object())
    throw Error("{}: expected a JSON object, found {}", path_.string(),
                values.is_discarded() ? "text that is no JSON" : values.type_name());
  values_ = std::make_shared<const nlohmann::json>(std::move(values));
}

const nlohmann::json* ConfigFile::find(std::string_view key) const {
  const auto found = values_->find(std::string(key));
  return found == values_->end() || found->is_null() ? nullptr : &*found;
}

const nlohmann::json& ConfigFile::at(std::string_view key, std::string_view expected) const {
  const nlohmann::json* value = find(key);
  if (!value) throw Error("{}: {} is missing; expected {}", path_.string(), key, expected);
  return *value;
}

bool ConfigFile::has(std::string_view key) const {
  return find(key) != nullptr;
}

std::size_t ConfigFile::count(std::string_view key) const {
  const nlohmann::json& value = at(key, "a positive integer");
  constexpr auto largest = std::numeric_limits<std::int32_t>::max();
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() == 0 ||
      value.get<std::uint64_t>() > largest)
    throw Error("{}: {} is {}, expected an integer from 1 to {}", path_.string(), key, shown(value),
                largest);
  return value.get<std::size_t>();
}

std::size_t ConfigFile::count(std::string_view key, std::size_t fallback) const {
  return has(key) ? count(key) : fallback;
}

double ConfigFile::number(std::string_view key, double low, double high) const {
  const nlohmann::json& value = at(key, "a number");
  const double number = value.is_number() ? value.get<double>() : std::nan("");
  if (!(number >= low && number <= high))
    throw Error("{}: {} is {}, expected a number from {} to {}", path_.string(), key, shown(value),
                low, high);
  return number;
}

double ConfigFile::number(std::string_view key, double low, double high, double fallback) const {
  return has(key) ? number(key, low, high) : fallback;
}

bool ConfigFile::flag(std::string_view key, bool fallback) const {
  const nlohmann::json* value = find(key);
  if (!value) return fallback;
  if (!value->is_boolean())
    throw Error("{}: {} is {}, expected true or false", path_.string(), key, shown(*value));
  return value->get<bool>();
}

std::string ConfigFile::text(std::string_view key) const {
  const nlohmann::json& value = at(key, "a text");
  if (!value.is_string())
    throw Error("{}: {} is {}, expected a text", path_.string(), key, shown(value));
  return value.get<std::string>();
}

std::string ConfigFile::text(std::string_view key, std::string_view fallback) const {
  return has(key) ? text(key) : std::string(fallback);
}

}  // namespace rankfold
