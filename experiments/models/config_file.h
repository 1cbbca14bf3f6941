#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "core/base/json_field.h"

namespace rankfold {

/// A model folder's config.json. Members throw Error naming the file, the key, what was found and
/// what was expected. A key that is absent or null is a missing key. Whether the keys are known is
/// checked by expect_known_config.
class ConfigFile {
 public:
  explicit ConfigFile(std::filesystem::path file);
  /// The same from text; `name` stands in messages.
  ConfigFile(std::filesystem::path name, const std::string& text);

  const std::filesystem::path& path() const { return document_.file(); }
  const nlohmann::json& values() const { return document_.root().value(); }
  bool has(std::string_view key) const;
  /// A positive integer of at most 2^31 - 1.
  std::size_t count(std::string_view key) const;
  std::size_t count(std::string_view key, std::size_t fallback) const;
  /// An integer in [low, high].
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high) const;
  std::int64_t integer(std::string_view key, std::int64_t low, std::int64_t high,
                       std::int64_t fallback) const;
  /// A finite number in [low, high].
  double number(std::string_view key, double low, double high) const;
  double number(std::string_view key, double low, double high, double fallback) const;
  bool flag(std::string_view key, bool fallback) const;
  std::string text(std::string_view key) const;
  std::string text(std::string_view key, std::string_view fallback) const;
  /// A list of texts, or one text of parts between '|', in lower case.
  std::vector<std::string> texts(std::string_view key) const;
  std::vector<std::string> texts(std::string_view key, std::string_view fallback) const;

 private:
  explicit ConfigFile(JsonDocument document);
  std::optional<JsonField> find(std::string_view key) const;
  JsonField at(std::string_view key, std::string_view expected) const;

  JsonDocument document_;
};

}  // namespace rankfold
