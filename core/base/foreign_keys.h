#pragma once

#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace rankfold {

/// What a key of another program's file means here.
struct ForeignKey {
  enum class Meaning {
    read,             ///< its reader applies every value, or refuses it
    changes_nothing,  ///< no value changes a number that is computed here
    off_only          ///< what it switches on is not here: only values that leave it off are taken
  };
  std::string_view name;
  Meaning meaning;
  /// Of off_only: further values that leave it off, as JSON ("\"none\"", "1", "-1").
  std::vector<std::string_view> off = {};
};

/// Keys of one meaning, and tables one after the other.
std::vector<ForeignKey> keys_of(ForeignKey::Meaning meaning,
                                std::initializer_list<std::string_view> names);
std::vector<ForeignKey> joined(std::initializer_list<std::vector<ForeignKey>> parts);

/// Whether a value switches nothing on: null, false, "", [] or {}.
bool is_off(const nlohmann::json& value);
bool is_off(const nlohmann::ordered_json& value);

/// Looks each key of `object` up in the tables. Throws Error naming the file, `place` (the object's
/// own key, "" for the document) and the key: of one that is off_only and on; of one that no table
/// has, unless its value is off.
template <class Json>
void expect_known_keys(const Json& object, const std::filesystem::path& file,
                       std::string_view place,
                       std::initializer_list<std::span<const ForeignKey>> tables);

}  // namespace rankfold
