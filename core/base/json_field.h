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
  is,         ///< "FILE: model.vocab is 12, expected an object"
  is_then     ///< "FILE: model.vocab is 12; expected an object"
};

/// A value of a JSON file together with where it stands, so that every error names file and key.
/// The accessors throw Error ("FILE: key 'model.vocab': found a number, expected an object").
/// Refers to the document, which must outlive it. Json is as read_json has it.
template <class Json>
class BasicJsonField {
 public:
  BasicJsonField(const Json& value, const std::filesystem::path& file, std::string key = {},
                 JsonWording wording = JsonWording::key_found)
      : value_(&value), file_(&file), key_(std::move(key)), wording_(wording) {}

  /// A member of an object; the first throws where it is missing.
  BasicJsonField member(const std::string& name) const;
  /// A member; where it is missing, or this is no object, the error says what is expected there.
  BasicJsonField member(const std::string& name, std::string_view expected) const;
  /// Nothing where it is missing or null.
  std::optional<BasicJsonField> optional_member(const std::string& name) const;
  /// The number of elements of an array, and one of them.
  std::size_t array_size() const;
  BasicJsonField element(std::size_t index) const;
  /// The value as an object.
  const Json& object() const;

  /// The value itself, for what has no accessor.
  const Json& value() const { return *value_; }
  /// The same value under another key, for messages.
  BasicJsonField named(std::string key) const;

  // `expected` is what an error says of each.

  const std::string& string(std::string_view expected = "a string") const;
  /// An array of nothing but strings.
  std::vector<std::string> strings(std::string_view expected = "an array of strings") const;
  bool boolean(std::string_view expected = "true or false") const;
  /// A member of an object that is true or false, `otherwise` where it is missing.
  bool boolean_member(const std::string& name, bool otherwise) const;
  double number(std::string_view expected = "a number") const;
  /// A number from `smallest` to `largest`.
  double number(double smallest, double largest, std::string_view expected) const;
  /// A whole number, 0 or more.
  std::uint64_t count(std::string_view expected = "a whole number, 0 or more") const;
  /// An integer from `smallest` to `largest`.
  std::int64_t integer(std::int64_t smallest, std::int64_t largest) const;
  /// A member of an object; null where it is missing.
  BasicJsonField member_or_null(const std::string& name) const;

  // The lenient form, for files of other programs and of other versions: what is not there, or is
  // something else, is nothing.

  /// A member, though it be null; nothing where it is missing, or this is no object.
  std::optional<BasicJsonField> given(const std::string& name) const;
  /// A member; nothing where it is missing or null, or this is no object.
  std::optional<BasicJsonField> find(const std::string& name) const;
  /// The members of an object, the elements of an array; none of anything else.
  std::vector<std::pair<std::string, BasicJsonField>> members() const;
  std::vector<BasicJsonField> elements() const;
  std::optional<std::string> string_or_nothing() const;
  std::optional<double> number_or_nothing() const;
  /// A whole number that std::int64_t holds.
  std::optional<std::int64_t> integer_or_nothing() const;
  std::optional<std::uint64_t> count_or_nothing() const;
  std::optional<bool> boolean_or_nothing() const;
  /// As one text, whatever stands there: a string itself, "" for null, an array's elements with
  /// commas between them, all else as JSON.
  std::string any_text() const;

  const std::filesystem::path& file() const { return *file_; }
  /// "model.vocab"; "" for the document.
  const std::string& key() const { return key_; }
  bool is_null() const;
  bool is_string() const;
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

  const Json* value_;
  const std::filesystem::path* file_;
  std::string key_;
  JsonWording wording_;
};

using JsonField = BasicJsonField<nlohmann::json>;
/// Its members stand in the file's order.
using OrderedJsonField = BasicJsonField<nlohmann::ordered_json>;

/// A JSON file, or a text that `file` stands for in messages, and its fields.
template <class Json>
class BasicJsonDocument {
 public:
  /// Throws Error as read_json does.
  explicit BasicJsonDocument(std::filesystem::path file, const JsonLimits& limits = {},
                             JsonWording wording = JsonWording::key_found);
  BasicJsonDocument(std::filesystem::path file, std::string_view text,
                    const JsonLimits& limits = {}, JsonWording wording = JsonWording::key_found);

  /// Refers to this document, or a copy of it: one of them must stay.
  BasicJsonField<Json> root() const;
  const std::filesystem::path& file() const;

 private:
  struct Content;
  std::shared_ptr<const Content> content_;
  JsonWording wording_;
};

using JsonDocument = BasicJsonDocument<nlohmann::json>;
using OrderedJsonDocument = BasicJsonDocument<nlohmann::ordered_json>;

}  // namespace rankfold
