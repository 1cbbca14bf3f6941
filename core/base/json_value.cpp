#include "core/base/json_value.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_text.h"

namespace rankfold {

struct JsonValue::Value {
  using Array = std::vector<JsonValue>;
  using Object = std::vector<std::pair<std::string, JsonValue>>;
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> held;
};

/// Hands a document to the library that writes it.
struct JsonWriter {
  using Value = JsonValue::Value;

  static nlohmann::ordered_json convert(const JsonValue& document) {
    if (!document.value_) return nullptr;
    return std::visit([](const auto& held) { return of(held); }, document.value_->held);
  }
  template <class T>
  static nlohmann::ordered_json of(const T& simple) {
    return simple;
  }
  static nlohmann::ordered_json of(const Value::Array& array) {
    nlohmann::ordered_json result = nlohmann::ordered_json::array();
    for (const JsonValue& value : array) result.push_back(convert(value));
    return result;
  }
  static nlohmann::ordered_json of(const Value::Object& object) {
    nlohmann::ordered_json result = nlohmann::ordered_json::object();
    for (const auto& [key, value] : object) result[key] = convert(value);
    return result;
  }
};

JsonValue::JsonValue(Value value) : value_(std::make_unique<Value>(std::move(value))) {}

JsonValue::JsonValue() = default;
JsonValue::JsonValue(std::nullptr_t) {}
JsonValue::JsonValue(bool flag) : JsonValue(Value{flag}) {}
JsonValue::JsonValue(int number) : JsonValue(Value{std::int64_t{number}}) {}
JsonValue::JsonValue(long number) : JsonValue(Value{std::int64_t{number}}) {}
JsonValue::JsonValue(long long number) : JsonValue(Value{std::int64_t{number}}) {}
JsonValue::JsonValue(unsigned number) : JsonValue(Value{std::uint64_t{number}}) {}
JsonValue::JsonValue(unsigned long number) : JsonValue(Value{std::uint64_t{number}}) {}
JsonValue::JsonValue(unsigned long long number) : JsonValue(Value{std::uint64_t{number}}) {}
JsonValue::JsonValue(double number) : JsonValue(Value{number}) {}
JsonValue::JsonValue(const char* text) : JsonValue(std::string(text)) {}
JsonValue::JsonValue(const std::string& text) : JsonValue(Value{text}) {}
JsonValue::JsonValue(std::string_view text) : JsonValue(std::string(text)) {}

JsonValue::JsonValue(std::initializer_list<JsonValue> list) : JsonValue(array()) {
  if (!std::ranges::all_of(list, &JsonValue::is_pair)) {
    for (const JsonValue& value : list) push_back(value);
    return;
  }
  *this = object();
  for (const JsonValue& pair : list) {
    const auto& parts = std::get<Value::Array>(pair.value_->held);
    (*this)[std::get<std::string>(parts[0].value_->held)] = parts[1];
  }
}

JsonValue JsonValue::array() {
  return JsonValue(Value{Value::Array()});
}

JsonValue JsonValue::object() {
  return JsonValue(Value{Value::Object()});
}

JsonValue::JsonValue(const JsonValue& other)
    : value_(other.value_ ? std::make_unique<Value>(*other.value_) : nullptr) {}
JsonValue::JsonValue(JsonValue&& other) noexcept = default;
JsonValue& JsonValue::operator=(JsonValue other) noexcept {
  value_ = std::move(other.value_);
  return *this;
}
JsonValue::~JsonValue() = default;

bool JsonValue::is_pair() const {
  const auto* parts = value_ ? std::get_if<Value::Array>(&value_->held) : nullptr;
  return parts && parts->size() == 2 && parts->front().value_ &&
         std::holds_alternative<std::string>(parts->front().value_->held);
}

JsonValue& JsonValue::operator[](std::string_view key) {
  if (!value_) *this = object();
  auto* members = std::get_if<Value::Object>(&value_->held);
  if (!members) throw Error("a JSON value that is no object has no member '{}'", key);
  const auto found = std::ranges::find(*members, key, &Value::Object::value_type::first);
  if (found != members->end()) return found->second;
  return members->emplace_back(key, JsonValue()).second;
}

void JsonValue::push_back(JsonValue value) {
  if (!value_) *this = array();
  auto* values = std::get_if<Value::Array>(&value_->held);
  if (!values) throw Error("a JSON value that is no array cannot grow");
  values->push_back(std::move(value));
}

std::string JsonValue::text() const {
  return json_text(JsonWriter::convert(*this));
}

}  // namespace rankfold
