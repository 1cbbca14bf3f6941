#include "experiments/adapter_files/peft_config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr double largest_number = 1e9;

/// Nothing where it is missing, null, or an empty text, list or object.
std::optional<OrderedJsonField> find_filled(const PeftConfig& config, const char* key) {
  const auto value = config.find(key);
  if (!value) return {};
  const bool is_empty = value->is_string() ? value->string().empty()
                                           : (value->is_array() && value->elements().empty()) ||
                                                 (value->is_object() && value->members().empty());
  return is_empty ? std::nullopt : value;
}

/// Whatever the case, as PEFT takes it.
bool is_all_linear(std::string_view text) {
  return std::ranges::equal(text, std::string_view("all-linear"),
                            [](char a, char b) { return a == b || (a >= 'A' && a + 32 == b); });
}

}  // namespace

PeftConfig::PeftConfig(const std::filesystem::path& folder)
    : document_(folder / "adapter_config.json", {}, JsonWording::is) {
  if (!document().is_object()) throw Error("{}: is not a JSON object", printable(file().string()));
}

std::string PeftConfig::type() const {
  return text("peft_type");
}

std::optional<OrderedJsonField> PeftConfig::find(const char* key) const {
  return document().find(key);
}

bool PeftConfig::flag(const char* key) const {
  const auto value = find(key);
  return value && value->boolean();
}

double PeftConfig::number(const char* key, double fallback) const {
  const auto value = document().given(key);
  if (!value) return fallback;
  return value->number(-largest_number, largest_number, "a number, at most 1e9 in size");
}

std::size_t PeftConfig::whole(const char* key, std::size_t fallback, std::size_t smallest,
                              std::size_t largest) const {
  const double value = number(key, static_cast<double>(fallback));
  if (value < static_cast<double>(smallest) || value > static_cast<double>(largest) ||
      value != std::floor(value))
    refuse(key, fmt::format("a whole number from {} to {}", smallest, largest));
  return static_cast<std::size_t>(value);
}

std::string PeftConfig::text(const char* key) const {
  const auto value = find(key);
  return value ? value->string("a text") : "";
}

std::vector<std::string> PeftConfig::texts(const char* key) const {
  const auto values = find(key);
  return values ? values->strings("a list of texts") : std::vector<std::string>();
}

void PeftConfig::refuse(const char* key, std::string_view expected) const {
  document().member(key, expected).refuse(expected);
}

std::optional<HostOutput> peft_output(const PeftConfig& config) {
  const std::string task = config.text("task_type");
  if (task == "SEQ_CLS") return HostOutput::classifier;
  if (task == "CAUSAL_LM") return HostOutput::language_model;
  return {};
}

PeftPatterns::PeftPatterns(const PeftConfig& config, const char* key) {
  const auto patterns = config.find(key);
  if (!patterns) return;
  if (!patterns->is_object()) patterns->refuse("an object of numbers");
  for (const auto& [expression, value] : patterns->members()) {
    const auto number = value.number_or_nothing();
    if (!number || std::abs(*number) > largest_number)
      patterns->refuse("an object of numbers, at most 1e9 in size");
    entries_.push_back(
        {expression,
         Pattern("(.*\\.)?(" + expression + ")$",
                 fmt::format("{}: the key in {}, read as", printable(config.file().string()), key)),
         *number});
  }
}

std::optional<double> PeftPatterns::value_of(const std::string& module) const {
  for (const Entry& entry : entries_)
    if (entry.pattern.begins(module)) return entry.value;
  const auto literal = std::ranges::find(entries_, module, &Entry::key);
  return literal == entries_.end() ? std::nullopt : std::optional(literal->value);
}

PeftTargets::Names::Names(const PeftConfig& config, const char* key) {
  const auto value = config.find(key);
  if (!value) return;
  if (!value->is_string())
    names = config.texts(key);
  else if (!value->string().empty())
    expression.emplace(value->string(),
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
    saved_.push_back(
        {name, Pattern("(^|.*\\.)" + name + "($|\\..*)", file_ + ": modules_to_save, read as")});

  const auto layers = find_filled(config, "layers_to_transform");
  const auto patterns = find_filled(config, "layers_pattern");
  if (patterns && !layers) config.refuse("layers_pattern", "none without layers_to_transform");
  if (!layers) return;
  if (targets_.expression)
    config.refuse("layers_to_transform", "none where target_modules is an expression");
  for (const OrderedJsonField& layer :
       layers->is_array() ? layers->elements() : std::vector<OrderedJsonField>{*layers}) {
    if (!layer.integer_or_nothing() && !layer.count_or_nothing())
      layers->refuse("a whole number or a list of them");
    // No model has a layer beyond the range of std::int64_t.
    layers_.push_back(layer.integer_or_nothing().value_or(-1));
  }
  const auto add = [&](const std::string& begin) {
    layer_patterns_.emplace_back(begin + "\\.(?P<idx>\\d+)\\.",
                                 file_ + ": layers_pattern, read as");
  };
  if (!patterns)
    add(".*?\\.[^.]*");
  else if (patterns->is_string())
    add("(?:^|.*?\\.)" + patterns->string());
  else
    for (const std::string& pattern : config.texts("layers_pattern")) add("(?:^|.*?\\.)" + pattern);
}

bool PeftTargets::Saved::has(const std::string& module) const {
  for (std::size_t end = module.find('.');; end = module.find('.', end + 1)) {
    if (std::string_view(module).substr(0, end).ends_with(name)) return true;
    if (end == std::string::npos) return false;
  }
}

bool PeftTargets::saves(const std::string& module) const {
  return std::ranges::any_of(saved_, [&](const Saved& saved) { return saved.has(module); });
}

bool PeftTargets::adapts(const std::string& module) const {
  if (excluded_.have(module)) return false;
  if (std::ranges::any_of(saved_, [&](const Saved& each) { return each.taken.begins(module); }))
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
