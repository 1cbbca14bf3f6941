#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <nlohmann/json_fwd.hpp>

namespace rankfold {

/// A value of a JSON file together with where it stands, so that every error names file and key.
/// The accessors throw Error ("FILE: key 'model.vocab': found a number, expected an object").
/// Refers to the document, which must outlive it.
class JsonField {
 public:
  JsonField(const nlohmann::json& value, const std::filesystem::path& file, std::string key = {})
      : value_(&value), file_(&file), key_(std::move(key)) {}

  /// A member of an object; the first throws where it is missing.
  JsonField member(const std::string& name) const;
  /// Nothing where it is missing or null.
  std::optional<JsonField> optional_member(const std::string& name) const;
  /// The number of elements of an array, and one of them.
  std::size_t array_size() const;
  JsonField element(std::size_t index) const;
  /// The value as an object.
  const nlohmann::json& object() const;

  /// The value itself, for what has no accessor.
  const nlohmann::json& value() const { return *value_; }

  bool is_string() const;
  const std::string& string() const;
  bool boolean() const;
  double number() const;
  /// An integer from `smallest` to `largest`.
  std::int64_t integer(std::int64_t smallest, std::int64_t largest) const;

  /// Throws Error unless the string is one of these.
  void expect_one_of(std::initializer_list<std::string_view> supported) const;

  [[noreturn]] void refuse(std::string_view found, std::string_view expected) const;

 private:
  [[noreturn]] void refuse_type(std::string_view expected) const;

  const nlohmann::json* value_;
  const std::filesystem::path* file_;
  std::string key_;
};

}  // namespace rankfold
