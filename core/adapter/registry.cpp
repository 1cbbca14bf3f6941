#include "core/adapter/registry.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Names stand in paths, in keys of sweep files and between parentheses.
bool is_word(const std::string& name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

void check_options(const Method& method) {
  std::vector<std::string> known;
  for (const MethodOption& option : method.options) {
    if (!is_word(option.name))
      throw Error("method '{}' has an option '{}', expected a word of letters, digits, - and _",
                  method.name, printable(option.name));
    if (std::ranges::find(known, option.name) != known.end())
      throw Error("method '{}' has two options '{}', expected one", method.name, option.name);
    if (!option.choices.empty() &&
        std::ranges::find(option.choices, option.fallback) == option.choices.end())
      throw Error("method '{}', option {}: the default is '{}', expected one of {}", method.name,
                  option.name, printable(option.fallback), fmt::join(option.choices, ", "));
    known.push_back(option.name);
  }
  known.emplace_back("alpha");
  for (const Preset& preset : method.presets)
    for (const auto& [name, value] : preset.values) {
      if (std::ranges::find(known, name) == known.end())
        throw Error("method '{}', preset {} sets '{}', expected one of {}", method.name,
                    printable(preset.name), printable(name), fmt::join(known, ", "));
      if (name == "alpha" && !parse_number<double>(value))
        throw Error("method '{}', preset {}: alpha is '{}', expected a number", method.name,
                    printable(preset.name), printable(value));
    }
}

}  // namespace

Registry::Registry(std::vector<Method> methods, std::vector<Wrapper> wrappers) {
  for (Method& method : methods) add(std::move(method));
  for (Wrapper& wrapper : wrappers) add(std::move(wrapper));
}

void Registry::add(Method method) {
  if (!is_word(method.name))
    throw Error("a method is named '{}', expected a word of letters, digits, - and _",
                printable(method.name));
  if (!method.declare) throw Error("method '{}' has no declare, expected a function", method.name);
  check_options(method);
  const auto place = std::ranges::lower_bound(methods_, method.name, {}, &Method::name);
  if (place != methods_.end() && place->name == method.name)
    throw Error("two methods are named '{}', expected a name of its own", method.name);
  methods_.insert(place, std::move(method));
}

void Registry::add(Wrapper wrapper) {
  if (!wrapper.wrap) throw Error("wrapper '{}' has no wrap, expected a function", wrapper.name);
  Method over_lora = compose(wrapper, at("lora"));
  over_lora.name = wrapper.name;
  add(std::move(over_lora));
  wrappers_.push_back(std::move(wrapper));
}

const Method& Registry::at(std::string_view name) const& {
  const auto found = std::ranges::lower_bound(methods_, name, {}, &Method::name);
  if (found != methods_.end() && found->name == name) return *found;
  const std::size_t open = name.find('(');
  if (open == std::string_view::npos || !name.ends_with(')'))
    throw unknown_name("method", name, names());
  if (const auto known = composed_.find(name); known != composed_.end()) return known->second;
  if (const auto depth = static_cast<std::size_t>(std::ranges::count(name, '('));
      depth > most_wrappers)
    throw UsageError("method '{}' has {} wrappers over each other, expected at most {}",
                     printable(name, 80), depth, most_wrappers);
  const auto wrapper = std::ranges::find(wrappers_, name.substr(0, open), &Wrapper::name);
  if (wrapper == wrappers_.end()) {
    std::vector<std::string> known;
    for (const Wrapper& each : wrappers_) known.push_back(each.name);
    throw unknown_name("method over methods", name.substr(0, open), known);
  }
  const Method& inner = at(name.substr(open + 1, name.size() - open - 2));
  return composed_.emplace(std::string(name), compose(*wrapper, inner)).first->second;
}

std::vector<std::string> Registry::names() const {
  std::vector<std::string> names;
  for (const Method& method : methods_) names.push_back(method.name);
  return names;
}

}  // namespace rankfold
