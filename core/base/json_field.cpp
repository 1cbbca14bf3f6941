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
  throw Error("{}: key '{}': found {}, expected {}", printable(file_->string()),
              printable(key_.empty() ? "(top level)" : key_), printable(found, 200), expected);
}

void JsonField::refuse_type(std::string_view expected) const {
  refuse(with_article(*value_), expected);
}

const nlohmann::json& JsonField::object() const {
  if (!value_->is_object()) refuse_type("an object");
  return *value_;
}

JsonField JsonField::member(const std::string& name) const {
  const std::string key = key_.empty() ? name : key_ + "." + name;
  const auto found = object().find(name);
  if (found == value_->end())
    throw Error("{}: key '{}' is missing", printable(file_->string()), printable(key));
  return {*found, *file_, key};
}

std::optional<JsonField> JsonField::optional_member(const std::string& name) const {
  const auto found = object().find(name);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return member(name);
}

std::size_t JsonField::array_size() const {
  if (!value_->is_array()) refuse_type("an array");
  return value_->size();
}

JsonField JsonField::element(std::size_t index) const {
  return {(*value_)[index], *file_, fmt::format("{}[{}]", key_, index)};
}

bool JsonField::is_string() const {
  return value_->is_string();
}

const std::string& JsonField::string() const {
  if (!value_->is_string()) refuse_type("a string");
  return value_->get_ref<const std::string&>();
}

bool JsonField::boolean() const {
  if (!value_->is_boolean()) refuse_type("true or false");
  return value_->get<bool>();
}

double JsonField::number() const {
  if (!value_->is_number()) refuse_type("a number");
  return value_->get<double>();
}

std::int64_t JsonField::integer(std::int64_t smallest, std::int64_t largest) const {
  const std::string expected = fmt::format("an integer from {} to {}", smallest, largest);
  if (!value_->is_number_integer()) refuse_type(expected);
  const bool too_large = value_->is_number_unsigned() &&
                         value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (too_large || value_->get<std::int64_t>() < smallest || value_->get<std::int64_t>() > largest)
    refuse(value_->dump(), expected);
  return value_->get<std::int64_t>();
}

void JsonField::expect_one_of(std::initializer_list<std::string_view> supported) const {
  if (std::find(supported.begin(), supported.end(), string()) != supported.end()) return;
  refuse(fmt::format("'{}'", string()), fmt::format("{}", fmt::join(supported, " or ")));
}

}  // namespace rankfold
