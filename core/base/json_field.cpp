#include "core/base/json_field.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

template <class Json>
std::string with_article(const Json& value) {
  if (value.is_null()) return "null";
  const std::string type = value.type_name();
  return (type == "array" || type == "object" ? "an " : "a ") + type;
}

}  // namespace

template <class Json>
void BasicJsonField<Json>::refuse(std::string_view found, std::string_view expected) const {
  const std::string file = printable(file_->string()),
                    key = printable(key_.empty() ? "(top level)" : key_,
                                    wording_ == JsonWording::is_then ? 80 : 2000),
                    shown = printable(found, wording_ == JsonWording::key_found ? 200 : 80);
  switch (wording_) {
    case JsonWording::found:
      throw Error("{}: {}: found {}, expected {}", file, key, shown, expected);
    case JsonWording::is:
      throw Error("{}: {} is {}, expected {}", file, key, shown, expected);
    case JsonWording::is_then:
      throw Error("{}: {} is {}; expected {}", file, key, shown, expected);
    case JsonWording::key_found:
      break;
  }
  throw Error("{}: key '{}': found {}, expected {}", file, key, shown, expected);
}

template <class Json>
void BasicJsonField<Json>::refuse(std::string_view expected) const {
  if (wording_ == JsonWording::key_found) refuse(with_article(*value_), expected);
  refuse(value_->dump(-1, ' ', wording_ == JsonWording::found, Json::error_handler_t::replace),
         expected);
}

template <class Json>
std::string BasicJsonField<Json>::key_of(const std::string& name) const {
  return key_.empty() ? name : key_ + "." + name;
}

template <class Json>
const Json& BasicJsonField<Json>::object() const {
  if (!value_->is_object()) refuse("an object");
  return *value_;
}

template <class Json>
BasicJsonField<Json> BasicJsonField<Json>::member(const std::string& name) const {
  const std::string key = key_of(name);
  const auto found = object().find(name);
  if (found == value_->end())
    throw Error("{}: key '{}' is missing", printable(file_->string()), printable(key));
  return {*found, *file_, key, wording_};
}

template <class Json>
BasicJsonField<Json> BasicJsonField<Json>::member(const std::string& name,
                                                  std::string_view expected) const {
  if (const auto found = given(name)) return *found;
  BasicJsonField(*value_, *file_, key_of(name), wording_).refuse("missing", expected);
}

template <class Json>
std::optional<BasicJsonField<Json>> BasicJsonField<Json>::optional_member(
    const std::string& name) const {
  const auto found = object().find(name);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return member(name);
}

template <class Json>
std::size_t BasicJsonField<Json>::array_size() const {
  if (!value_->is_array()) refuse("an array");
  return value_->size();
}

template <class Json>
BasicJsonField<Json> BasicJsonField<Json>::element(std::size_t index) const {
  return {(*value_)[index], *file_, fmt::format("{}[{}]", key_, index), wording_};
}

template <class Json>
BasicJsonField<Json> BasicJsonField<Json>::named(std::string key) const {
  return {*value_, *file_, std::move(key), wording_};
}

template <class Json>
std::optional<BasicJsonField<Json>> BasicJsonField<Json>::given(const std::string& name) const {
  if (!value_->is_object()) return std::nullopt;
  const auto found = value_->find(name);
  if (found == value_->end()) return std::nullopt;
  return BasicJsonField(*found, *file_, key_of(name), wording_);
}

template <class Json>
std::optional<BasicJsonField<Json>> BasicJsonField<Json>::find(const std::string& name) const {
  const auto found = given(name);
  return found && !found->is_null() ? found : std::nullopt;
}

template <class Json>
BasicJsonField<Json> BasicJsonField<Json>::member_or_null(const std::string& name) const {
  static const Json nothing;
  if (!value_->is_object())
    BasicJsonField(*value_, *file_, key_of(name), wording_).refuse("an object that holds it");
  const auto found = value_->find(name);
  return {found == value_->end() ? nothing : *found, *file_, key_of(name), wording_};
}

template <class Json>
std::vector<std::pair<std::string, BasicJsonField<Json>>> BasicJsonField<Json>::members() const {
  std::vector<std::pair<std::string, BasicJsonField>> members;
  if (!value_->is_object()) return members;
  for (const auto& [name, value] : value_->items())
    members.emplace_back(name, BasicJsonField(value, *file_, key_of(name), wording_));
  return members;
}

template <class Json>
std::vector<BasicJsonField<Json>> BasicJsonField<Json>::elements() const {
  std::vector<BasicJsonField> elements;
  for (std::size_t i = 0; value_->is_array() && i < value_->size(); ++i)
    elements.push_back(element(i));
  return elements;
}

template <class Json>
std::optional<std::string> BasicJsonField<Json>::string_or_nothing() const {
  return value_->is_string() ? std::optional(value_->template get<std::string>()) : std::nullopt;
}

template <class Json>
std::optional<double> BasicJsonField<Json>::number_or_nothing() const {
  return value_->is_number() ? std::optional(value_->template get<double>()) : std::nullopt;
}

template <class Json>
std::optional<std::int64_t> BasicJsonField<Json>::integer_or_nothing() const {
  if (!value_->is_number_integer()) return std::nullopt;
  if (value_->is_number_unsigned() &&
      value_->template get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    return std::nullopt;
  return value_->template get<std::int64_t>();
}

template <class Json>
std::optional<std::uint64_t> BasicJsonField<Json>::count_or_nothing() const {
  return value_->is_number_unsigned() ? std::optional(value_->template get<std::uint64_t>())
                                      : std::nullopt;
}

template <class Json>
std::optional<bool> BasicJsonField<Json>::boolean_or_nothing() const {
  return value_->is_boolean() ? std::optional(value_->template get<bool>()) : std::nullopt;
}

template <class Json>
std::string BasicJsonField<Json>::any_text() const {
  if (value_->is_null()) return "";
  if (value_->is_string()) return value_->template get<std::string>();
  if (!value_->is_array()) return value_->dump(-1, ' ', true, Json::error_handler_t::replace);
  std::vector<std::string> parts;
  for (const BasicJsonField& part : elements()) parts.push_back(part.any_text());
  return join(parts, ",");
}

template <class Json>
bool BasicJsonField<Json>::is_null() const {
  return value_->is_null();
}

template <class Json>
bool BasicJsonField<Json>::is_object() const {
  return value_->is_object();
}

template <class Json>
bool BasicJsonField<Json>::is_array() const {
  return value_->is_array();
}

template <class Json>
bool BasicJsonField<Json>::is_boolean() const {
  return value_->is_boolean();
}

template <class Json>
bool BasicJsonField<Json>::is_number() const {
  return value_->is_number();
}

template <class Json>
bool BasicJsonField<Json>::is_string() const {
  return value_->is_string();
}

template <class Json>
const std::string& BasicJsonField<Json>::string(std::string_view expected) const {
  if (!value_->is_string()) refuse(expected);
  return value_->template get_ref<const std::string&>();
}

template <class Json>
std::vector<std::string> BasicJsonField<Json>::strings(std::string_view expected) const {
  if (!value_->is_array()) refuse(expected);
  std::vector<std::string> strings;
  for (const Json& value : *value_) {
    if (!value.is_string()) refuse(expected);
    strings.push_back(value.template get<std::string>());
  }
  return strings;
}

template <class Json>
bool BasicJsonField<Json>::boolean(std::string_view expected) const {
  if (!value_->is_boolean()) refuse(expected);
  return value_->template get<bool>();
}

template <class Json>
bool BasicJsonField<Json>::boolean_member(const std::string& name, bool otherwise) const {
  const auto field = optional_member(name);
  return field ? field->boolean() : otherwise;
}

template <class Json>
double BasicJsonField<Json>::number(std::string_view expected) const {
  if (!value_->is_number()) refuse(expected);
  return value_->template get<double>();
}

template <class Json>
double BasicJsonField<Json>::number(double smallest, double largest,
                                    std::string_view expected) const {
  const double number = this->number(expected);
  if (number < smallest || number > largest) refuse(expected);
  return number;
}

template <class Json>
std::uint64_t BasicJsonField<Json>::count(std::string_view expected) const {
  const std::optional<std::uint64_t> number = count_or_nothing();
  if (!number) refuse(expected);
  return *number;
}

template <class Json>
std::int64_t BasicJsonField<Json>::integer(std::int64_t smallest, std::int64_t largest) const {
  const std::string expected = fmt::format("an integer from {} to {}", smallest, largest);
  if (!value_->is_number_integer()) refuse(expected);
  const std::optional<std::int64_t> number = integer_or_nothing();
  if (!number || *number < smallest || *number > largest) refuse(value_->dump(), expected);
  return *number;
}

template <class Json>
void BasicJsonField<Json>::expect_one_of(std::initializer_list<std::string_view> supported) const {
  if (std::find(supported.begin(), supported.end(), string()) != supported.end()) return;
  refuse(fmt::format("'{}'", string()), fmt::format("{}", fmt::join(supported, " or ")));
}

template <class Json>
struct BasicJsonDocument<Json>::Content {
  std::filesystem::path file;
  Json value;
};

template <class Json>
const std::filesystem::path& BasicJsonDocument<Json>::file() const {
  return content_->file;
}

template <class Json>
BasicJsonDocument<Json>::BasicJsonDocument(std::filesystem::path file, const JsonLimits& limits,
                                           JsonWording wording)
    : wording_(wording) {
  Json value = read_json<Json>(file, limits);
  content_ = std::make_shared<const Content>(Content{std::move(file), std::move(value)});
}

template <class Json>
BasicJsonDocument<Json>::BasicJsonDocument(std::filesystem::path file, std::string_view text,
                                           const JsonLimits& limits, JsonWording wording)
    : wording_(wording) {
  Json value = parse_json<Json>(text, file, limits);
  content_ = std::make_shared<const Content>(Content{std::move(file), std::move(value)});
}

template <class Json>
BasicJsonField<Json> BasicJsonDocument<Json>::root() const {
  return {content_->value, content_->file, {}, wording_};
}

template class BasicJsonField<nlohmann::json>;
template class BasicJsonField<nlohmann::ordered_json>;
template class BasicJsonDocument<nlohmann::json>;
template class BasicJsonDocument<nlohmann::ordered_json>;

}  // namespace rankfold
