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
class JsonDocument {
 public:
  JsonDocument();  ///< null
  JsonDocument(std::nullptr_t);
  JsonDocument(bool flag);
  JsonDocument(int number);
  JsonDocument(long number);
  JsonDocument(long long number);
  JsonDocument(unsigned number);
  JsonDocument(unsigned long number);
  JsonDocument(unsigned long long number);
  JsonDocument(double number);  ///< not finite: written as null
  JsonDocument(const char* text);
  JsonDocument(const std::string& text);
  JsonDocument(std::string_view text);
  JsonDocument(std::initializer_list<JsonDocument> list);
  template <class T>
  JsonDocument(const std::vector<T>& values) : JsonDocument(array()) {
    for (const T& value : values) push_back(value);
  }
  template <class T>
  JsonDocument(const std::map<std::string, T>& members) : JsonDocument(object()) {
    for (const auto& [key, value] : members) (*this)[key] = value;
  }
  static JsonDocument array();   ///< []
  static JsonDocument object();  ///< {}

  JsonDocument(const JsonDocument& other);
  JsonDocument(JsonDocument&& other) noexcept;
  JsonDocument& operator=(JsonDocument other) noexcept;
  ~JsonDocument();

  /// The member of an object, or of null, which becomes one; a new one is null. Throws Error for
  /// anything else.
  JsonDocument& operator[](std::string_view key);
  /// Behind the last of an array, or of null, which becomes one. Throws Error for anything else.
  void push_back(JsonDocument value);

  /// As json_text writes it.
  std::string text() const;

 private:
  struct Value;
  explicit JsonDocument(Value value);
  bool is_pair() const;  ///< [text, value]

  std::unique_ptr<Value> value_;  ///< none: null
  friend struct JsonWriter;
};

}  // namespace rankfold
