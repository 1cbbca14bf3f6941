#include "core/base/foreign_keys.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

template <class Json>
bool switches_nothing(const Json& value) {
  if (value.is_null()) return true;
  if (value.is_boolean()) return !value.template get<bool>();
  if (value.is_string()) return value.template get_ref<const std::string&>().empty();
  return value.is_structured() && value.empty();
}

template <class Json>
std::string shown(const Json& value) {
  return printable(value.dump(-1, ' ', false, Json::error_handler_t::replace), 80);
}

const ForeignKey* find_key(std::string_view name,
                           std::initializer_list<std::span<const ForeignKey>> tables) {
  for (const std::span<const ForeignKey> table : tables) {
    const auto found = std::ranges::find(table, name, &ForeignKey::name);
    if (found != table.end()) return &*found;
  }
  return nullptr;
}

}  // namespace

std::vector<ForeignKey> keys_of(ForeignKey::Meaning meaning,
                                std::initializer_list<std::string_view> names) {
  std::vector<ForeignKey> table;
  for (const std::string_view name : names) table.push_back({name, meaning});
  return table;
}

std::vector<ForeignKey> joined(std::initializer_list<std::vector<ForeignKey>> parts) {
  std::vector<ForeignKey> table;
  for (const auto& part : parts) table.insert(table.end(), part.begin(), part.end());
  return table;
}

bool is_off(const nlohmann::json& value) {
  return switches_nothing(value);
}
bool is_off(const nlohmann::ordered_json& value) {
  return switches_nothing(value);
}

template <class Json>
void expect_known_keys(const Json& object, const std::filesystem::path& file,
                       std::string_view place,
                       std::initializer_list<std::span<const ForeignKey>> tables) {
  const std::string name = printable(file.string());
  if (!object.is_object())
    throw Error("{}: {} is {}, expected an object", name, place.empty() ? "the document" : place,
                shown(object));
  for (const auto& [key, value] : object.items()) {
    const ForeignKey* known = find_key(key, tables);
    const bool off = switches_nothing(value);
    if (off || (known && known->meaning != ForeignKey::Meaning::off_only)) continue;
    const std::string full = printable(place.empty() ? key : std::string(place) + "." + key, 200);
    if (!known)
      throw Error(
          "{}: the key '{}' is {}; rankfold does not know it, and it may change what is computed",
          name, full, shown(value));
    const bool harmless = std::ranges::any_of(
        known->off, [&](std::string_view text) { return value == Json::parse(text); });
    if (harmless) continue;
    std::vector<std::string> expected = {"none"};
    for (const std::string_view text : known->off) expected.emplace_back(text);
    throw Error("{}: {} is {}, which rankfold does not apply; expected {}", name, full,
                shown(value), join(expected, " or "));
  }
}

template void expect_known_keys(const nlohmann::json&, const std::filesystem::path&,
                                std::string_view,
                                std::initializer_list<std::span<const ForeignKey>>);
template void expect_known_keys(const nlohmann::ordered_json&, const std::filesystem::path&,
                                std::string_view,
                                std::initializer_list<std::span<const ForeignKey>>);

}  // namespace rankfold
