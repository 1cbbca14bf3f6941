#include "core/base/json_field.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

std::string with_article(const nlohmann::json& value) {
  if (value.is_null()) return "null";
  const std::string type = value.type_name();
  return (type == "array" || type == "object" ? "an " : "a ") + type;
}

}  // namespace

void JsonField::refuse(std::string_view found, std::string_view expected) const {
  const std::string file = printable(file_->string()),
                    key = printable(key_.empty() ? "(top level)" : key_),
                    shown = printable(found, wording_ == JsonWording::key_found ? 200 : 80);
  switch (wording_) {
    case JsonWording::found:
      throw Error("{}: {}: found {}, expected {}", file, key, shown, expected);
    case JsonWording::is:
      throw Error("{}: {} is {}, expected {}", file, key, shown, expected);
    case JsonWording::key_found:
      break;
  }
  throw Error("{}: key '{}': found {}, expected {}", file, key, shown, expected);
}

void JsonField::refuse(std::string_view expected) const {
  if (wording_ == JsonWording::key_found) refuse(with_article(*value_), expected);
  refuse(value_->dump(-1, ' ', wording_ == JsonWording::found,
                      nlohmann::json::error_handler_t::replace),
         expected);
}

std::string JsonField::key_of(const std::string& name) const {
  return key_.empty() ? name : key_ + "." + name;
}

const nlohmann::json& JsonField::object() const {
  if (!value_->is_object()) refuse("an object");
  return *value_;
}

JsonField JsonField::member(const std::string& name) const {
  const std::string key = key_of(name);
  const auto found = object().find(name);
  if (found == value_->end())
    throw Error("{}: key '{}' is missing", printable(file_->string()), printable(key));
  return {*found, *file_, key, wording_};
}

std::optional<JsonField> JsonField::optional_member(const std::string& name) const {
  const auto found = object().find(name);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return member(name);
}

std::size_t JsonField::array_size() const {
  if (!value_->is_array()) refuse("an array");
  return value_->size();
}

JsonField JsonField::element(std::size_t index) const {
  return {(*value_)[index], *file_, fmt::format("{}[{}]", key_, index), wording_};
}

std::optional<JsonField> JsonField::find(const std::string& name) const {
  if (!value_->is_object()) return std::nullopt;
  const auto found = value_->find(name);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return JsonField(*found, *file_, key_of(name), wording_);
}

JsonField JsonField::member_or_null(const std::string& name) const {
  static const nlohmann::json nothing;
  if (!value_->is_object())
    JsonField(*value_, *file_, key_of(name), wording_).refuse("an object that holds it");
  const auto found = value_->find(name);
  return {found == value_->end() ? nothing : *found, *file_, key_of(name), wording_};
}

std::vector<std::pair<std::string, JsonField>> JsonField::members() const {
  std::vector<std::pair<std::string, JsonField>> members;
  if (!value_->is_object()) return members;
  for (const auto& [name, value] : value_->items())
    members.emplace_back(name, JsonField(value, *file_, key_of(name), wording_));
  return members;
}

std::vector<JsonField> JsonField::elements() const {
  std::vector<JsonField> elements;
  for (std::size_t i = 0; value_->is_array() && i < value_->size(); ++i)
    elements.push_back(element(i));
  return elements;
}

std::optional<std::string> JsonField::string_or_nothing() const {
  return value_->is_string() ? std::optional(value_->get<std::string>()) : std::nullopt;
}

std::optional<double> JsonField::number_or_nothing() const {
  return value_->is_number() ? std::optional(value_->get<double>()) : std::nullopt;
}

std::optional<std::int64_t> JsonField::integer_or_nothing() const {
  if (!value_->is_number_integer()) return std::nullopt;
  if (value_->is_number_unsigned() &&
      value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;
  return value_->get<std::int64_t>();
}

std::optional<bool> JsonField::boolean_or_nothing() const {
  return value_->is_boolean() ? std::optional(value_->get<bool>()) : std::nullopt;
}

std::string JsonField::any_text() const {
  if (value_->is_null()) return "";
  if (value_->is_string()) return value_->get<std::string>();
  if (!value_->is_array())
    return value_->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  std::vector<std::string> parts;
  for (const JsonField& part : elements()) parts.push_back(part.any_text());
  return join(parts, ",");
}

bool JsonField::is_null() const {
  return value_->is_null();
}

bool JsonField::is_object() const {
  return value_->is_object();
}

bool JsonField::is_array() const {
  return value_->is_array();
}

bool JsonField::is_boolean() const {
  return value_->is_boolean();
}

bool JsonField::is_number() const {
  return value_->is_number();
}

bool JsonField::is_string() const {
  return value_->is_string();
}

const std::string& JsonField::string() const {
  if (!value_->is_string()) refuse("a string");
  return value_->get_ref<const std::string&>();
}

bool JsonField::boolean() const {
  if (!value_->is_boolean()) refuse("true or false");
  return value_->get<bool>();
}

double JsonField::number() const {
  if (!value_->is_number()) refuse("a number");
  return value_->get<double>();
}

std::int64_t JsonField::integer(std::int64_t smallest, std::int64_t largest) const {
  const std::string expected = fmt::format("an integer from {} to {}", smallest, largest);
  if (!value_->is_number_integer()) refuse(expected);
  const std::optional<std::int64_t> number = integer_or_nothing();
  if (!number || *number < smallest || *number > largest) refuse(value_->dump(), expected);
  return *number;
}

void JsonField::expect_one_of(std::initializer_list<std::string_view> supported) const {
  if (std::find(supported.begin(), supported.end(), string()) != supported.end()) return;
  refuse(fmt::format("'{}'", string()), fmt::format("{}", fmt::join(supported, " or ")));
}

struct JsonDocument::Content {
  std::filesystem::path file;
  nlohmann::json value;
};

const std::filesystem::path& JsonDocument::file() const {
  return content_->file;
}

JsonDocument::JsonDocument(std::filesystem::path file, const JsonLimits& limits,
                           JsonWording wording)
    : wording_(wording) {
  nlohmann::json value = read_json(file, limits);
  content_ = std::make_shared<const Content>(Content{std::move(file), std::move(value)});
}

JsonDocument::JsonDocument(std::filesystem::path file, std::string_view text,
                           const JsonLimits& limits, JsonWording wording)
    : wording_(wording) {
  nlohmann::json value = parse_json(text, file, limits);
  content_ = std::make_shared<const Content>(Content{std::move(file), std::move(value)});
}

JsonField JsonDocument::root() const {
  return {content_->value, content_->file, {}, wording_};
}

}  // namespace rankfold
