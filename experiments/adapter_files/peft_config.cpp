#include "experiments/adapter_files/peft_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

constexpr double largest_number = 1e9;

bool is_number(const json& value) {
  return value.is_number() && std::abs(value.get<double>()) <= largest_number;
}

/// Whatever the case, as PEFT takes it.
bool is_all_linear(std::string_view text) {
  return std::ranges::equal(text, std::string_view("all-linear"),
                            [](char a, char b) { return a == b || (a >= 'A' && a + 32 == b); });
}

}  // namespace

PeftConfig::PeftConfig(const std::filesystem::path& folder)
    : file_(folder / "adapter_config.json"),
      document_(std::make_shared<const json>(read_json<json>(file_))) {
  if (!document_->is_object()) throw Error("{}: is not a JSON object", printable(file_.string()));
}

std::string PeftConfig::type() const {
  return text("peft_type");
}

bool PeftConfig::is_null(const char* key) const {
  const auto found = document_->find(key);
  return found == document_->end() || found->is_null();
}

bool PeftConfig::flag(const char* key) const {
  if (is_null(key)) return false;
  if (!document_->at(key).is_boolean()) refuse(key, "true or false");
  return document_->at(key).get<bool>();
}

double PeftConfig::number(const char* key, double fallback) const {
  if (!document_->contains(key)) return fallback;
  if (!is_number(document_->at(key))) refuse(key, "a number, at most 1e9 in size");
  return document_->at(key).get<double>();
}

std::size_t PeftConfig::whole(const char* key, std::size_t fallback, std::size_t smallest,
                              std::size_t largest) const {
  const double value = number(key, static_cast<double>(fallback));
  if (value < static_cast<double>(smallest) || value > static_cast<double>(largest) ||
      value != std::floor(value))
    refuse(key, fmt::format("a whole number from {} to {}", smallest, largest).c_str());
  return static_cast<std::size_t>(value);
}

std::string PeftConfig::text(const char* key) const {
  if (is_null(key)) return "";
  if (!document_->at(key).is_string()) refuse(key, "a text");
  return document_->at(key).get<std::string>();
}

std::vector<std::string> PeftConfig::texts(const char* key) const {
  if (is_null(key)) return {};
  const json& values = document_->at(key);
  if (!values.is_array() || !std::ranges::all_of(values, &json::is_string))
    refuse(key, "a list of texts");
  return values.get<std::vector<std::string>>();
}

void PeftConfig::refuse(const char* key, const char* expected) const {
  const std::string found =
      document_->contains(key)
          ? document_->at(key).dump(-1, ' ', false, json::error_handler_t::replace)
          : "missing";
  throw Error("{}: {} is {}, expected {}", printable(file_.string()), key, printable(found, 80),
              expected);
}

PeftPatterns::PeftPatterns(const PeftConfig& config, const char* key) {
  if (config.is_null(key)) return;
  const json& document = config.document().at(key);
  if (!document.is_object()) config.refuse(key, "an object of numbers");
  for (const auto& [expression, value] : document.items()) {
    if (!is_number(value)) config.refuse(key, "an object of numbers, at most 1e9 in size");
    entries_.push_back(
        {expression,
         Pattern("(.*\\.)?(" + expression + ")$",
                 fmt::format("{}: the key in {}, read as", printable(config.file().string()), key)),
         value.get<double>()});
  }
}

std::optional<double> PeftPatterns::value_of(const std::string& module) const {
  for (const Entry& entry : entries_)
    if (entry.pattern.begins(module)) return entry.value;
  const auto literal = std::ranges::find(entries_, module, &Entry::key);
  return literal == entries_.end() ? std::nullopt : std::optional(literal->value);
}

PeftTargets::Names::Names(const PeftConfig& config, const char* key) {
  if (config.is_null(key)) return;
  const json& value = config.document().at(key);
  if (!value.is_string())
    names = config.texts(key);
  else if (!value.get<std::string>().empty())
    expression.emplace(value.get<std::string>(),
                       fmt::format("{}: {}", printable(config.file().string()), key));
}

bool PeftTargets::Names::name_ends(const std::string& module) const {
  return std::ranges::any_of(names,
                             [&](const std::string& name) { return module.ends_with("." + name); });
}

bool PeftTargets::Names::have(const std::string& module) const {
  if (expression) return expression->matches(module);
  return std::ranges::find(names, module) != names.end() || name_ends(module);
}

PeftTargets::PeftTargets(const PeftConfig& config)
    : file_(printable(config.file().string())),
      targets_(config, "target_modules"),
      excluded_(config, "exclude_modules"),
      known_(targets_.expression || !targets_.names.empty()) {
  all_linear_ = targets_.expression && is_all_linear(targets_.expression->expression());
  for (const std::string& name : config.texts("modules_to_save"))
    saved_.emplace_back("(^|.*\\.)" + name + "($|\\..*)", file_ + ": modules_to_save, read as");

  const auto given = [&](const char* key) -> const json* {
    const auto found = config.document().find(key);
    const bool none = found == config.document().end() || found->is_null() ||
                      (!found->is_number() && found->empty());
    return none || (found->is_string() && found->get<std::string>().empty()) ? nullptr : &*found;
  };
  const json* layers = given("layers_to_transform");
  const json* patterns = given("layers_pattern");
  if (patterns && !layers) config.refuse("layers_pattern", "none without layers_to_transform");
  if (!layers) return;
  if (targets_.expression)
    config.refuse("layers_to_transform", "none where target_modules is an expression");
  for (const json& layer : layers->is_array() ? *layers : json::array({*layers})) {
    if (!layer.is_number_integer())
      config.refuse("layers_to_transform", "a whole number or a list of them");
    layers_.push_back(layer.get<long long>());
  }
  const auto add = [&](const std::string& begin) {
    layer_patterns_.emplace_back(begin + "\\.(?P<idx>\\d+)\\.",
                                 file_ + ": layers_pattern, read as");
  };
  if (!patterns)
    add(".*?\\.[^.]*");
  else if (patterns->is_string())
    add("(?:^|.*?\\.)" + patterns->get<std::string>());
  else
    for (const std::string& pattern : config.texts("layers_pattern")) add("(?:^|.*?\\.)" + pattern);
}

bool PeftTargets::adapts(const std::string& module) const {
  if (excluded_.have(module)) return false;
  if (std::ranges::any_of(saved_, [&](const Pattern& name) { return name.begins(module); }))
    return false;
  if (all_linear_) return true;
  if (targets_.expression) return targets_.expression->matches(module);
  if (std::ranges::find(targets_.names, module) != targets_.names.end()) return true;
  return targets_.name_ends(module) && (layers_.empty() || is_chosen_layer(module));
}

bool PeftTargets::is_chosen_layer(const std::string& module) const {
  for (const Pattern& pattern : layer_patterns_) {
    if (!pattern.begins(module)) continue;
    const std::string digits = pattern.group_of_beginning(module, "idx").value_or("");
    long long layer = -1;
    const auto [end, failure] =
        std::from_chars(digits.data(), digits.data() + digits.size(), layer);
    if (failure != std::errc() || end != digits.data() + digits.size())
      throw Error("{}: layers_pattern finds the layer '{}' in '{}', expected a number", file_,
                  printable(digits, 80), printable(module, 200));
    return std::ranges::find(layers_, layer) != layers_.end();
  }
  return false;
}

}  // namespace rankfold
