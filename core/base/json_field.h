#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/json_reader.h"

namespace rankfold {

/// How an error about a value names file and key, what was found and what was expected.
enum class JsonWording {
  key_found,  ///< "FILE: key 'model.vocab': found a number, expected an object"
  found,      ///< "FILE: model.vocab: found 12, expected an object"
  is          ///< "FILE: model.vocab is 12, expected an object"
};

/// A value of a JSON file together with where it stands, so that every error names file and key.
/// The accessors throw Error ("FILE: key 'model.vocab': found a number, expected an object").
/// Refers to the document, which must outlive it.
class JsonField {
 public:
  JsonField(const nlohmann::json& value, const std::filesystem::path& file, std::string key = {},
            JsonWording wording = JsonWording::key_found)
      : value_(&value), file_(&file), key_(std::move(key)), wording_(wording) {}

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
  /// A member of an object; null where it is missing.
  JsonField member_or_null(const std::string& name) const;

  // The lenient form, for files of other programs and of other versions: what is not there, or is
  // something else, is nothing.

  /// A member; nothing where it is missing or null, or this is no object.
  std::optional<JsonField> find(const std::string& name) const;
  /// The members of an object, the elements of an array; none of anything else.
  std::vector<std::pair<std::string, JsonField>> members() const;
  std::vector<JsonField> elements() const;
  std::optional<std::string> string_or_nothing() const;
  std::optional<double> number_or_nothing() const;
  /// A whole number that std::int64_t holds.
  std::optional<std::int64_t> integer_or_nothing() const;
  std::optional<bool> boolean_or_nothing() const;
  /// As one text, whatever stands there: a string itself, "" for null, an array's elements with
  /// commas between them, all else as JSON.
  std::string any_text() const;

  const std::filesystem::path& file() const { return *file_; }
  /// "model.vocab"; "" for the document.
  const std::string& key() const { return key_; }
  bool is_null() const;
  bool is_object() const;
  bool is_array() const;
  bool is_boolean() const;
  bool is_number() const;

  /// Throws Error unless the string is one of these.
  void expect_one_of(std::initializer_list<std::string_view> supported) const;

  [[noreturn]] void refuse(std::string_view found, std::string_view expected) const;
  /// The same; found is the value, or with key_found its type.
  [[noreturn]] void refuse(std::string_view expected) const;

 private:
  std::string key_of(const std::string& name) const;

  const nlohmann::json* value_;
  const std::filesystem::path* file_;
  std::string key_;
  JsonWording wording_;
};

/// A JSON file, or a text that `file` stands for in messages, and its fields.
class JsonDocument {
 public:
  /// Throws Error as read_json does.
  explicit JsonDocument(std::filesystem::path file, const JsonLimits& limits = {},
                        JsonWording wording = JsonWording::key_found);
  JsonDocument(std::filesystem::path file, std::string_view text, const JsonLimits& limits = {},
               JsonWording wording = JsonWording::key_found);

  /// Refers to this document, or a copy of it: one of them must stay.
  JsonField root() const;
  const std::filesystem::path& file() const;

 private:
  struct Content;
  std::shared_ptr<const Content> content_;
  JsonWording wording_;
};

}  // namespace rankfold
