#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// A JSON value that is put together to be written, its keys in the order in which they come. It
/// costs a fiftieth of <nlohmann/json.hpp> to compile, which reads and writes behind it.
///
/// A list of pairs, each a text and a value, is an object: {{"out", out}, {"sites", 3}}; any other
/// list is an array.
class JsonValue {
 public:
  JsonValue();  ///< null
  JsonValue(std::nullptr_t);
  JsonValue(bool flag);
  JsonValue(int number);
  JsonValue(long number);
  JsonValue(long long number);
  JsonValue(unsigned number);
  JsonValue(unsigned long number);
  JsonValue(unsigned long long number);
  JsonValue(double number);  ///< not finite: written as null
  JsonValue(const char* text);
  JsonValue(const std::string& text);
  JsonValue(std::string_view text);
  JsonValue(std::initializer_list<JsonValue> list);
  template <class T>
  JsonValue(const std::vector<T>& values) : JsonValue(array()) {
    for (const T& value : values) push_back(value);
  }
  template <class T>
  JsonValue(const std::map<std::string, T>& members) : JsonValue(object()) {
    for (const auto& [key, value] : members) (*this)[key] = value;
  }
  static JsonValue array();   ///< []
  static JsonValue object();  ///< {}

  JsonValue(const JsonValue& other);
  JsonValue(JsonValue&& other) noexcept;
  JsonValue& operator=(JsonValue other) noexcept;
  ~JsonValue();

  /// The member of an object, or of null, which becomes one; a new one is null. Throws Error for
  /// anything else.
  JsonValue& operator[](std::string_view key);
  /// Behind the last of an array, or of null, which becomes one. Throws Error for anything else.
  void push_back(JsonValue value);

  /// As json_text writes it.
  std::string text() const;

 private:
  struct Value;
  explicit JsonValue(Value value);
  bool is_pair() const;  ///< [text, value]

  std::unique_ptr<Value> value_;  ///< none: null
  friend struct JsonWriter;
};

}  // namespace rankfold
