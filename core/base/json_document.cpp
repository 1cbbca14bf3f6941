#include "core/base/json_document.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_text.h"

namespace rankfold {

struct JsonDocument::Value {
  using Array = std::vector<JsonDocument>;
  using Object = std::vector<std::pair<std::string, JsonDocument>>;
  std::variant<bool, std::int64_t, std::uint64_t, double, std::string, Array, Object> held;
};

/// Hands a document to the library that writes it.
struct JsonWriter {
  using Value = JsonDocument::Value;

  static nlohmann::ordered_json convert(const JsonDocument& document) {
    if (!document.value_) return nullptr;
    return std::visit([](const auto& held) { return of(held); }, document.value_->held);
  }
  template <class T>
  static nlohmann::ordered_json of(const T& simple) {
    return simple;
  }
  static nlohmann::ordered_json of(const Value::Array& array) {
    nlohmann::ordered_json result = nlohmann::ordered_json::array();
    for (const JsonDocument& value : array) result.push_back(convert(value));
    return result;
  }
  static nlohmann::ordered_json of(const Value::Object& object) {
    nlohmann::ordered_json result = nlohmann::ordered_json::object();
    for (const auto& [key, value] : object) result[key] = convert(value);
    return result;
  }
};

JsonDocument::JsonDocument(Value value) : value_(std::make_unique<Value>(std::move(value))) {}

JsonDocument::JsonDocument() = default;
JsonDocument::JsonDocument(std::nullptr_t) {}
JsonDocument::JsonDocument(bool flag) : JsonDocument(Value{flag}) {}
JsonDocument::JsonDocument(int number) : JsonDocument(Value{std::int64_t{number}}) {}
JsonDocument::JsonDocument(long number) : JsonDocument(Value{std::int64_t{number}}) {}
JsonDocument::JsonDocument(long long number) : JsonDocument(Value{std::int64_t{number}}) {}
JsonDocument::JsonDocument(unsigned number) : JsonDocument(Value{std::uint64_t{number}}) {}
JsonDocument::JsonDocument(unsigned long number) : JsonDocument(Value{std::uint64_t{number}}) {}
JsonDocument::JsonDocument(unsigned long long number)
    : JsonDocument(Value{std::uint64_t{number}}) {}
JsonDocument::JsonDocument(double number) : JsonDocument(Value{number}) {}
JsonDocument::JsonDocument(const char* text) : JsonDocument(std::string(text)) {}
JsonDocument::JsonDocument(const std::string& text) : JsonDocument(Value{text}) {}
JsonDocument::JsonDocument(std::string_view text) : JsonDocument(std::string(text)) {}

JsonDocument::JsonDocument(std::initializer_list<JsonDocument> list) : JsonDocument(array()) {
  if (!std::ranges::all_of(list, &JsonDocument::is_pair)) {
    for (const JsonDocument& value : list) push_back(value);
    return;
  }
  *this = object();
  for (const JsonDocument& pair : list) {
    const auto& parts = std::get<Value::Array>(pair.value_->held);
    (*this)[std::get<std::string>(parts[0].value_->held)] = parts[1];
  }
}

JsonDocument JsonDocument::array() {
  return JsonDocument(Value{Value::Array()});
}

JsonDocument JsonDocument::object() {
  return JsonDocument(Value{Value::Object()});
}

JsonDocument::JsonDocument(const JsonDocument& other)
    : value_(other.value_ ? std::make_unique<Value>(*other.value_) : nullptr) {}
JsonDocument::JsonDocument(JsonDocument&& other) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument other) noexcept {
  value_ = std::move(other.value_);
  return *this;
}
JsonDocument::~JsonDocument() = default;

bool JsonDocument::is_pair() const {
  const auto* parts = value_ ? std::get_if<Value::Array>(&value_->held) : nullptr;
  return parts && parts->size() == 2 && parts->front().value_ &&
         std::holds_alternative<std::string>(parts->front().value_->held);
}

JsonDocument& JsonDocument::operator[](std::string_view key) {
  if (!value_) *this = object();
  auto* members = std::get_if<Value::Object>(&value_->held);
  if (!members) throw Error("a JSON value that is no object has no member '{}'", key);
  const auto found = std::ranges::find(*members, key, &Value::Object::value_type::first);
  if (found != members->end()) return found->second;
  return members->emplace_back(key, JsonDocument()).second;
}

void JsonDocument::push_back(JsonDocument value) {
  if (!value_) *this = array();
  auto* values = std::get_if<Value::Array>(&value_->held);
  if (!values) throw Error("a JSON value that is no array cannot grow");
  values->push_back(std::move(value));
}

std::string JsonDocument::text() const {
  return json_text(JsonWriter::convert(*this));
}

}  // namespace rankfold
